"""Everything about one bad job, for whoever has to find out why; no telephone number in it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ops.chaos.account import Account, Job, Violation

_MOST_LOG_LINES = 60
_AROUND_S = 2.0


def histories(account: Account, logs: Sequence[Path], *, most: int = 20) -> Iterator[str]:
    """
    Yield the lines on everything that must not be.

    Args:
        account: The judgement.
        logs: The parts' logs, searched for the bad jobs' ids.
        most: Jobs told in full; the rest is named only.
    """
    jobs: dict[str, list[Violation]] = {}
    for violation in account.violations:
        if violation.job is None:
            yield f"{violation.kind}: {violation.sentence}"
        else:
            jobs.setdefault(violation.job.job_id, []).append(violation)
    for index, violations in enumerate(jobs.values()):
        job = violations[0].job
        assert job is not None, "only those with a job are collected"
        yield ""
        yield from (f"{violation.kind}: job {job.job_id}: {violation.sentence}" for violation in violations)
        if index < most:
            yield from history(account, job, logs)


def history(account: Account, job: Job, logs: Sequence[Path]) -> Iterator[str]:
    """Yield the lines on one job, bad or not: record, then timeline, rings and faults by time, then log lines."""
    yield f"  handed in for extension {job.extid} of {job.pbx}; redial {'yes' if job.may_ring_again else 'no'}"
    yield "  record    " + "  ".join(
        f"{name}={_time_or_text(name, text)}" for name, text in sorted(job.record.items())
    )
    events = [*_events(account, job)]
    yield from (f"  {_clock(at)}  {what}" for at, what in sorted(events))
    yield from (f"  {line}" for line in _log_lines(job.job_id, logs))


def _events(account: Account, job: Job) -> Iterable[tuple[float, str]]:
    """Timeline, rings and faults in one order of time."""
    for moment in job.timeline:
        yield moment.at, f"timeline  {moment.state} by {moment.who} {moment.reason}".rstrip()
    for ring in account.rings_of(job):
        yield ring.t, f"RING      callid {ring.callid}"
    for hit in account.hits_of(job):
        yield hit.t, f"hit       {hit.kind} at its own request"
    began_at, ended_at = _life(account, job)
    for deed in account.deeds_around(began_at - _AROUND_S, ended_at + _AROUND_S, job.pbx):
        yield (
            deed.began_at,
            f"fault     {deed.kind} ({deed.part}) until {_clock(deed.ended_at)} {deed.note}".rstrip(),
        )


def _life(account: Account, job: Job) -> tuple[float, float]:
    times = [
        float(job.record[name]) for name in ("enqueued_at", "claimed_at", "finished_at") if name in job.record
    ]
    times += [ring.t for ring in account.rings_of(job)] + [moment.at for moment in job.timeline]
    return min(times, default=0.0), max(times, default=0.0)


def _log_lines(job_id: str, logs: Sequence[Path]) -> list[str]:
    found = [
        f"{log.stem}: {line}"
        for log in logs
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if job_id in line
    ]
    more = len(found) - _MOST_LOG_LINES
    return found[:_MOST_LOG_LINES] + ([f"... and {more} more lines"] if more > 0 else [])


def _time_or_text(name: str, text: str) -> str:
    return _clock(float(text)) if name.endswith("_at") or name == "due" else text


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]
