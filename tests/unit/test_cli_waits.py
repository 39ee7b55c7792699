"""What a job waits for, said in one sentence: the first thing an operator should look at."""

from dataclasses import replace

import pytest

from producers.waits import Situation, sentence
from worker.hopper import LaneView, PbxView
from worker.jobs import JobState

NOW = 1_795_424_400.0
PBX = PbxView(
    "hq",
    3,
    0,
    0,
    0,
    paused=False,
    in_doubt=0,
    breaker="closed",
    barred_s=0,
    barred_reason="",
    lanes=(LaneView("1001", 3, 0.0),),
)
READY = Situation(
    state=JobState.WAITING,
    extid="1001",
    due=0,
    now=NOW,
    pbx=PBX,
    everything_paused=False,
    most_open_calls=8,
    workers=1,
)
BUSY = replace(PBX, lanes=(LaneView("1001", 1, 12.4),))
CLOSED = replace(PBX, barred_s=42.0, barred_reason="log-in refused")


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (READY, "its turn on PBX hq; 3 jobs are in the lane of extension 1001"),
        (replace(READY, pbx=replace(PBX, paused=True)), "PBX hq is paused; `outdial resume hq` lifts that"),
        (replace(READY, everything_paused=True), "everything is paused; `outdial resume --all` lifts that"),
        (replace(READY, most_open_calls=None), "PBX hq is not in the settings; add [pbx.hq] or cancel the job"),
        (replace(READY, workers=0), "a worker; none is running, start one by `outdial worker`"),
        (replace(READY, due=NOW + 7200), "its time, 2026-11-23T11:00:00Z, in 2 h"),
        (replace(READY, pbx=CLOSED), "PBX hq takes no calls for 42 s more: log-in refused"),
        (replace(READY, pbx=CLOSED, due=NOW + 600), "its time, 2026-11-23T09:10:00Z, in 10 min"),
        (replace(READY, pbx=CLOSED, due=NOW + 6), "PBX hq takes no calls for 42 s more: log-in refused"),
        (
            replace(READY, pbx=BUSY),
            "extension 1001 is in a call or resting, for 12 s at most; 1 job is in the lane of extension 1001",
        ),
        (
            replace(READY, pbx=replace(PBX, open_calls=6, released=2)),
            "all 8 lines of PBX hq are taken; 3 jobs are in the lane of extension 1001",
        ),
        (replace(READY, state=JobState.RELEASED), "a worker has it at hand; next is a permit of PBX hq"),
        (replace(READY, state=JobState.CLAIMED), "nothing: a worker is placing the call now"),
    ],
)
def test_the_sentence_names_what_keeps_the_job(situation: Situation, said: str) -> None:
    assert sentence(situation) == said


def test_a_pause_is_named_before_anything_that_passes_by_itself() -> None:
    everything = replace(READY, due=NOW + 60, workers=0, pbx=replace(CLOSED, paused=True))
    assert "paused" in sentence(everything)
