"""What a job waits for, as one sentence for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.hopper import KILL_SWITCH, Hopper, LaneView, PbxView
from worker.jobs import JobState
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Situation:
    """
    A job that has not ended, and what surrounds it.

    `due` is when it may go at the earliest, in unix seconds like `now` (0: any time). `most_open_calls` is None
    for a PBX that the settings do not have. `everything_paused` is the kill switch.
    """

    state: JobState
    extid: str
    due: float
    now: float
    pbx: PbxView
    everything_paused: bool
    most_open_calls: int | None
    workers: int

    @property
    def lane(self) -> LaneView:
        """The job's lane."""
        lanes = (lane for lane in self.pbx.lanes if lane.extid == self.extid)
        return next(lanes, LaneView(self.extid, 0, 0.0))


def what_it_waits_for(hopper: Hopper, settings: Settings, record: Mapping[str, str]) -> str | None:
    """
    Return what a job waits for now; None if it has ended.

    Args:
        hopper: Where it is.
        settings: Which PBXs there are.
        record: The job's record as stored.

    Raises:
        redis.exceptions.RedisError: If Redis does not answer.
    """
    state = JobState(record["state"])
    if state.is_final:
        return None
    pbx = settings.pbx.get(record["pbx"])
    return sentence(
        Situation(
            state=state,
            extid=record["extid"],
            due=float(record.get("due") or record.get("not_before") or 0),
            now=hopper.now(),
            pbx=hopper.view(record["pbx"]),
            everything_paused=KILL_SWITCH in hopper.paused(),
            most_open_calls=pbx.max_open_calls if pbx else None,
            workers=len(hopper.workers_alive()),
        )
    )


def sentence(situation: Situation) -> str:
    """Say what the job waits for; of several things, the one that an operator should look at first."""
    if situation.state is JobState.CLAIMED:
        return "nothing: a worker is placing the call now"
    return _person(situation) or _time(situation) or _room(situation)


def _person(situation: Situation) -> str | None:
    """Return the wait that only a person ends."""
    name = situation.pbx.name
    if situation.everything_paused:
        return "everything is paused; `outdial resume --all` lifts that"
    if situation.pbx.paused:
        return f"PBX {name} is paused; `outdial resume {name}` lifts that"
    if situation.most_open_calls is None:
        return f"PBX {name} is not in the settings; add [pbx.{name}] or cancel the job"
    return None


def _time(situation: Situation) -> str | None:
    """Return the wait that time ends: the later of two."""
    name, due_s = situation.pbx.name, situation.due - situation.now
    if due_s > situation.pbx.barred_s:
        at = datetime.fromtimestamp(situation.due, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"its time, {at}, in {_duration(due_s)}"
    if situation.pbx.barred_s > 0:
        left = _duration(situation.pbx.barred_s)
        return f"PBX {name} takes no calls for {left} more: {situation.pbx.barred_reason}"
    return None


def _room(situation: Situation) -> str:
    """Return the wait that a call's end or a permit ends."""
    if not situation.workers:
        return "a worker; none is running, start one by `outdial worker`"
    pbx, lane = situation.pbx, situation.lane
    if situation.state is JobState.RELEASED:
        return f"a worker has it at hand; next is a permit of PBX {pbx.name}"
    if lane.busy_s > 0:
        left = _duration(lane.busy_s)
        return f"extension {lane.extid} is in a call or resting, for {left} at most; {_queue(lane)}"
    if situation.most_open_calls is not None and pbx.open_calls + pbx.released >= situation.most_open_calls:
        return f"all {situation.most_open_calls} lines of PBX {pbx.name} are taken; {_queue(lane)}"
    return f"its turn on PBX {pbx.name}; {_queue(lane)}"


def _queue(lane: LaneView) -> str:
    jobs = "1 job is" if lane.waiting == 1 else f"{lane.waiting:,} jobs are"
    return f"{jobs} in the lane of extension {lane.extid}"


def _duration(seconds: float) -> str:
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
