"""What somebody on call is told to look at, and what they are not bothered with."""

from dataclasses import replace

import pytest

from producers.watching.attention import Level, concerns
from producers.watching.headline import headline
from producers.watching.recent import Ended
from producers.watching.scene import PbxScene, Scene
from tests.unit.producers.watching.scenes import NINE, busy, endpoint, glance, scene
from worker.hopper import Breaker
from worker.jobs import JobState

DOWN = Breaker("open", 4.0, NINE - 93, "connection refused")
STUCK = PbxScene(glance(waiting=3, oldest_s=70.0))


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (scene(busy()), "DIALING"),
        (scene(PbxScene(glance())), "IDLE"),
        (scene(PbxScene(glance(waiting=1, oldest_s=2.0))), "STARTING"),
        (scene(STUCK), "NOT DIALING"),
        (scene(busy(), workers=0), "NO WORKER"),
        (scene(busy(), everything_paused=True), "PAUSED"),
        (scene(busy(), refusal="OOM"), "NOT DIALING"),
        (scene(busy(), held_why="Redis may throw jobs away; set it right"), "NOT DIALING"),
        (scene(PbxScene(glance(waiting=1, oldest_s=2.0, breaker=DOWN))), "NOT DIALING"),
        (scene(PbxScene(glance(open_calls=3), placed_minute=9)), "IDLE"),
        (scene(PbxScene(glance(waiting=3, oldest_s=9.0), placed_minute=2)), "DIALING"),
        (scene(PbxScene(glance(waiting=3, oldest_s=9.0, breaker=DOWN), placed_minute=2)), "NOT DIALING"),
    ],
)
def test_the_first_word_says_whether_it_is_dialing(seen: Scene, word: str) -> None:
    assert headline(seen).word == word


def test_nobody_is_bothered_where_all_is_well() -> None:
    assert concerns(scene(busy(), PbxScene(glance("idle")))) == []


@pytest.mark.parametrize(
    ("seen", "sentence", "todo"),
    [
        (scene(busy(), everything_paused=True), "everything is paused", "outdial resume --all"),
        (scene(STUCK, workers=0), "no worker is running, and 3 jobs could go", "outdial worker"),
        (
            scene(busy(), refusal="OOM"),
            "Redis is full: it takes no jobs, and no call begins",
            "give it more memory; `outdial doctor` shows its use",
        ),
        (
            scene(busy(), held_why="Redis may throw jobs away; set maxmemory-policy to noeviction"),
            "no call begins: Redis may throw jobs away",
            "set maxmemory-policy to noeviction",
        ),
        (scene(busy(is_paused=True)), "hq is paused", "outdial resume hq"),
        (scene(busy(breaker=DOWN)), "hq: breaker open since 08:58:27: connection refused", "is the PBX up?"),
        (
            scene(busy(breaker=replace(DOWN, reason="its TLS certificate is revoked; issue a new one"))),
            "hq: breaker open since 08:58:27: its TLS certificate is revoked; issue a new one",
            "",
        ),
        (
            scene(busy(breaker=replace(DOWN, seconds=600.0, reason="wrong password"), barred_by="login")),
            "hq: log-in barred since 08:58:27, for 10 min more: wrong password",
            "check username and password",
        ),
        (
            scene(busy(), wait_replicas=1),
            "0 replicas are connected and wait_replicas is 1: nobody dials",
            "bring the replicas back, or lower wait_replicas",
        ),
        (
            scene(STUCK),
            "hq: 3 jobs could go, and none was placed in the last minute",
            "`outdial why ID` tells for one of them",
        ),
        (
            scene(busy(), unknowns=12),
            "12 jobs of the last day may have rung, and nobody knows",
            "outdial results --state unknown",
        ),
        (
            scene(busy(), endpoints=(endpoint(failures=3, failing_since=NINE - 600, last_error="HTTP 503"),)),
            "endpoint crm fails for 10 min, 0 to tell: HTTP 503",
            "outdial webhooks test crm",
        ),
        (
            scene(busy(), endpoint_count=1),
            "no webhook process is running: no results are told",
            "outdial worker",
        ),
    ],
)
def test_each_trouble_is_one_sentence_with_what_to_do(seen: Scene, sentence: str, todo: str) -> None:
    [concern] = concerns(seen)
    assert (concern.sentence, concern.command or concern.advice) == (sentence, todo)


def test_the_worst_comes_first_and_many_alike_are_one_line() -> None:
    down = [busy(f"d{number}", breaker=DOWN) for number in range(5)]
    levels = [concern.level for concern in concerns(scene(busy(is_paused=True), *down, unknowns=1))]
    assert levels == [Level.BAD, Level.WARNING, Level.NOTE]
    [worst, *_] = concerns(scene(*down))
    assert worst.sentence == "d0, d1, d2 and 2 more PBXs have their breakers open"


def test_where_every_dial_fails_it_is_said_at_once() -> None:
    failing = PbxScene(glance(), not_placed_minute=9)
    seen = replace(scene(failing), minute=Ended({JobState.FAILED: 9}))
    assert [concern.sentence for concern in concerns(seen)] == [
        "none of the 9 jobs dialed in the last minute was placed",
        "hq: none of the 9 jobs dialed in the last minute was placed",
    ]
