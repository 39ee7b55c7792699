"""Scenes to draw: an installation where all is well, and ways in which it may not be."""

from dataclasses import replace
from typing import Any

from producers.watching.recent import Ended
from producers.watching.scene import PbxScene, Scene, Slow
from worker.hopper import Breaker, EndpointView, Overview, PbxGlance, ServerView
from worker.jobs import JobState, Priority

# 2026-11-23T09:00:00Z
NINE = 1_795_424_400.0
CLOSED = Breaker("closed", 0.0, 0.0, "")
IDLE = dict.fromkeys(Priority, 0)


def glance(name: str = "hq", *, waiting: int = 0, oldest_s: float = 0.0, **fields: Any) -> PbxGlance:
    values: dict[str, Any] = {
        "is_known": True,
        "waiting": IDLE | {Priority.NORMAL: waiting},
        "oldest_s": dict.fromkeys(Priority, 0.0) | {Priority.NORMAL: oldest_s},
        **dict.fromkeys(("later", "released", "in_doubt", "open_calls"), 0),
        "calls_per_second": 2.0,
        "burst": 1,
        "max_open_calls": 8,
        "is_paused": False,
        "breaker": CLOSED,
        "barred_by": "",
        "is_logged_in": True,
    }
    return PbxGlance(name=name, **(values | fields))


def busy(name: str = "hq", **fields: Any) -> PbxScene:
    """A PBX that dials 1.5 calls a second while 40 jobs wait."""
    return PbxScene(glance(name, waiting=40, oldest_s=20.0, **fields), placed_lately=15, placed_minute=90)


def endpoint(**fields: Any) -> EndpointView:
    times = ("next_at", "failing_since", "rest_until", "last_error_at", "last_success", "disabled_at")
    values = dict.fromkeys(("waiting", "in_flight", "dead", "failures", "dropped"), 0)
    words = {"last_error": "", "disabled_why": ""}
    return EndpointView(name="crm", **(values | dict.fromkeys(times, 0.0) | words | fields))


def scene(
    *pbxs: PbxScene,
    workers: int = 2,
    everything_paused: bool = False,
    refusal: str = "",
    held_why: str = "",
    **slow: Any,
) -> Scene:
    server = ServerView("9.1", 12 * 2**20, 0, is_append_only=True, replicas=0, is_replica=False)
    slowly = Slow(server, 0, counted_all_unknowns=True, endpoints=(), endpoint_count=0, couriers=0)
    minute = Ended({JobState.PLACED: sum(pbx.placed_minute for pbx in pbxs)})
    return Scene(
        overview=Overview(
            at=NINE,
            everything_paused=everything_paused,
            workers={f"w{number}": 12 for number in range(workers)},
            undelivered=0,
            set_aside=0,
            pbxs=tuple(pbx.glance for pbx in pbxs),
            held_why=held_why,
            refusal=refusal,
        ),
        slow=replace(slowly, **slow),
        pbxs=pbxs,
        minute=minute,
        hour=Ended({JobState.PLACED: 5_000, JobState.FAILED: 7}, (("10006", 7),)),
        since_start=minute,
        began_at=NINE - 60,
        taken_s=0.012,
        sentences={"10006": "the extension does not exist"},
    )
