"""What must hold in every state of a small world, and across every step."""

from dataclasses import dataclass

from ops.explore.values import Book, part_of
from worker.jobs import JobState

_FLIGHT = ("lane", "later", "released", "claimed", "doubts")


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a world."""

    id: str
    letter: str
    extid: str
    on_unknown: str


def broken_in(book: Book, state: tuple[int, ...], jobs: tuple[Job, ...], pbx: str) -> str | None:
    """Return which promise a state of the server breaks, None if it keeps all."""
    held: dict[str, dict[str, object]] = {key: _as_dict(book.get(state, key)) for key in book.keys}
    if held.get("w:aside"):
        return "a record was set aside as damaged"
    for job in jobs:
        record = held.get(f"w:job:{job.id}")
        if record and (wrong := _wrong_with(job, record, held, pbx)):
            return f"job {job.letter} ({record['state']}): {wrong}"
    if held.get(f"w:doubts:{pbx}") and pbx not in held.get("w:looks", {}):
        return "a job is in doubt, and no look at its PBX is due"
    return None


def _as_dict(value: tuple[object, ...]) -> dict[str, object]:
    return {pair[0]: pair[1] for pair in value if isinstance(pair, tuple)} or {str(one): 1 for one in value}


def _wrong_with(job: Job, record: dict[str, object], held: dict[str, dict[str, object]], pbx: str) -> str | None:
    state = JobState(str(record["state"]))
    where = {key for key, members in held.items() if part_of(key) in _FLIGHT and job.id in members}
    lane = where == {f"w:lane:{pbx}:{job.extid}"}
    right: dict[JobState, bool] = {
        JobState.WAITING: lane or where == {f"w:later:{pbx}"},
        JobState.RELEASED: {"w:released"} <= where <= {"w:released", f"w:released:{pbx}"},
        JobState.CLAIMED: where == ({f"w:doubts:{pbx}"} if "doubt" in record else {"w:claimed"}),
    }
    waits = state is JobState.WAITING
    wrong = {
        f"it stands in {sorted(where) or 'no list'}": not right.get(state, not where),
        "the count of those that wait is wrong": (job.id in held.get(f"w:waits:{pbx}:1", {})) != lane,
        "the list of ended jobs is wrong": (job.id in held.get("w:ended", {})) != state.is_final,
        "its record ends while it lives, or never": ("has_ttl" in record) != state.is_final,
        "it has not ended, and its result is in the outbox": not state.is_final
        and job.id in held.get("w:outbox", {}),
        "its lane has no turn": lane and job.extid not in held.get(f"w:ring:{pbx}:1", {}),
        "the pacer does not visit its PBX": waits
        and pbx not in held.get("w:pbxs", {})
        and not held.get("w:paused"),
    }
    return next((what for what, is_so in wrong.items() if is_so), None)
