"""The file in which Flower keeps what it knows: JSON, one job a line, replaced as a whole."""

import json
import os
import time
from pathlib import Path

import structlog

from ops.flower.jobs import JobsState

log = structlog.get_logger()

_FORM = "outdial-flower-1"


def save(state: JobsState, file: Path) -> None:
    """
    Write all jobs and the workers' counters; a death in the middle leaves the former file.

    Raises:
        OSError: If the file cannot be written.
    """
    began = time.monotonic()
    beside = file.with_name(f"{file.name}.new")
    # Job ids, extensions and call ids are nobody else's business on this host.
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:  # noqa: PTH123
        out.write(json.dumps({"form": _FORM, "counter": state.counter}) + "\n")
        out.writelines(json.dumps(job.plain()) + "\n" for _, job in state.tasks.items())
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
    log.debug("view_saved", jobs=len(state.tasks), after_s=round(time.monotonic() - began, 2))


def load(state: JobsState, file: Path) -> int:
    """
    Put what a file holds into an empty *state*, and return the number of jobs.

    A file that cannot be read is moved aside, to `NAME.unreadable`, and Flower begins with nothing.

    Raises:
        OSError: If there is such a file and it may not be opened.
    """
    if not file.exists():
        return 0
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        head = json.loads(lines[0])
        if head["form"] != _FORM:
            raise ValueError(head["form"])
        for job in map(json.loads, lines[1:]):
            state.restore(job["uuid"], job, worker=job.get("worker"))
        for worker, counts in head["counter"].items():
            state.counter[worker].update(counts)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        file.replace(file.with_name(f"{file.name}.unreadable"))
        log.error("view_unreadable", file=str(file), error=type(error).__name__)
        state.clear(ready=False)
    return len(state.tasks)
