"""The picture of a watch as text: it fits, whatever there is to show."""

import io
from typing import Any

import pytest
from rich.console import Console

from producers.watching.frame import Away, frame
from producers.watching.scene import PbxScene, Scene
from tests.unit.producers.watching.scenes import NINE, busy, endpoint, glance, scene
from worker.hopper import Breaker

DOWN = Breaker("open", 4.0, NINE - 93, "connection refused")
TROUBLED = scene(
    busy("hq"),
    busy("branch", is_paused=True),
    busy("north", breaker=DOWN),
    *(PbxScene(glance(f"idle-{number:04d}")) for number in range(4_997)),
    endpoints=(endpoint(failures=3, failing_since=NINE - 600, last_error="HTTP 503", dead=2),),
    endpoint_count=1,
    couriers=1,
    unknowns=3,
)


def drawn(seen: Scene | None, width: int, height: int | None, away: Away | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    interval_s = None if height is None else 2.0
    console.print(frame(seen, width=width, height=height, interval_s=interval_s, away=away))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 50)])
def test_it_fits_the_terminal_with_five_thousand_pbxs(width: int, height: int) -> None:
    lines = drawn(TROUBLED, width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith(" DIALING   4.5 calls/s")
    first = next(number for number, line in enumerate(lines) if line.startswith("pbx"))
    assert [line.split()[0] for line in lines[first + 1 : first + 4]] == ["north", "branch", "hq"]
    assert any("more PBXs, 0 with jobs, 0 in trouble" in line for line in lines)
    assert lines[-1] == "q quits · every 2 s · 09:00:00 UTC, asked in 12 ms"


def test_a_pbx_has_its_pace_its_waiting_jobs_and_its_state() -> None:
    lines = drawn(scene(busy(open_calls=3, later=1_200, in_doubt=1)), 80, 24)
    row = next(line for line in lines if line.startswith("hq"))
    assert row.split() == ["hq", "1.5/2", "90", "40", "20", "s", "1,200", "·", "3/8", "1", "takes", "calls"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 0}, "no worker"),
        ({"everything_paused": True}, "all paused"),
        ({"refusal": "OOM"}, "Redis full"),
        ({"held_why": "Redis may throw jobs away; set it right"}, "calls held"),
    ],
)
def test_no_pbx_takes_calls_while_no_call_begins_anywhere(changes: dict[str, Any], words: str) -> None:
    text = "\n".join(drawn(scene(busy(), PbxScene(glance("quiet")), **changes), 80, 24))
    assert "takes calls" not in text
    assert [line.endswith(words) for line in text.splitlines() if line.startswith(("hq", "quiet"))] == [True, True]


def test_at_80_columns_numbers_states_and_what_to_do_are_whole() -> None:
    large = {"open_calls": 120, "max_open_calls": 500, "later": 120_000, "released": 48, "calls_per_second": 12.5}
    seen = scene(
        busy("headquarters", in_doubt=12, **large),
        PbxScene(glance("branch", waiting=112_345, oldest_s=7_300, breaker=DOWN)),
        unknowns=34,
    )
    lines = drawn(seen, 80, 24)
    rows = {line.split()[0]: line for line in lines if line}
    assert rows["headquarters"].endswith("48 120/500    12 takes calls")
    assert "112k" in rows["branch"].split()
    assert rows["branch"].endswith("· open")
    assert "! 34 jobs of the last day may have rung, and nobody knows" in lines
    assert "  -> outdial results --state unknown" in lines
    assert not any("…" in line for line in lines)


def test_the_rate_between_slow_calls_is_not_0() -> None:
    slow = scene(PbxScene(glance(waiting=3, oldest_s=9.0), placed_minute=2))
    assert drawn(slow, 80, 24)[0].startswith(" DIALING   0.03 calls/s  2 in the last minute")
    over = scene(PbxScene(glance(open_calls=1), placed_minute=2))
    assert drawn(over, 80, 24)[0].startswith(" IDLE   2 in the last minute")


def test_a_wide_terminal_tells_priorities_and_reasons() -> None:
    lines = drawn(TROUBLED, 140, 50)
    head = next(line for line in lines if line.startswith("pbx"))
    assert {"urgent", "normal", "bulk"} <= set(head.split())
    assert any(line.startswith("north") and line.endswith("breaker open: connection refused") for line in lines)


def test_what_ended_is_told_with_why() -> None:
    lines = drawn(scene(busy()), 100, 24)
    hour = next(number for number, line in enumerate(lines) if line.startswith("last hour"))
    assert lines[hour].split() == ["last", "hour", "5,000", "7", "0", "0"]
    assert lines[hour - 1].endswith("7 10006: the extension does not exist")
    assert lines[hour + 1].startswith("since 08:59:00")


def test_redis_away_is_said_above_what_was_before() -> None:
    away = Away(12.3, "Redis at 127.0.0.1:6379 does not answer (ConnectionError); start it, or set redis_url")
    lines = drawn(scene(busy()), 80, 24, away)
    assert lines[0].startswith(" REDIS AWAY 12 s ")
    assert lines[1].startswith("Redis at 127.0.0.1:6379 does not answer")
    assert lines[2].startswith(" WAS DIALING ")
    assert drawn(None, 80, 24, away)[:2] == [lines[0], lines[1]]
    assert drawn(None, 80, 24)[0] == "Asking Redis ..."
