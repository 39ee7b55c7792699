"""Jobs that ended, for counting."""

from worker.hopper import EndedJob
from worker.jobs import JobState

# 2026-11-23T09:00:00Z
NINE = 1_795_424_400.0


def ended(at: float, state: JobState = JobState.PLACED, *, waited_s: float = 2.0, **fields: object) -> EndedJob:
    """A job that ended so many seconds after nine, after one attempt half a second before."""
    values: dict[str, object] = {
        "id": f"job-{at:g}",
        "state": state,
        "pbx": "hq",
        "extid": "1001",
        "errno": "" if state is JobState.PLACED else "10006",
        "error": "" if state is JobState.PLACED else "the extension does not exist",
        "attempts": 1,
        "enqueued_at": NINE + at - waited_s,
        "due_at": NINE + at - waited_s,
        "placed_at": NINE + at if state is JobState.PLACED else 0.0,
        "finished_at": NINE + at,
        "claims": (NINE + at - 0.5,),
    }
    return EndedJob(**(values | fields))  # type: ignore[arg-type]
