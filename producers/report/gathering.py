"""Reading what a report is made of: the only file here that asks Redis."""

from collections.abc import Callable

from producers.report.spans import Span
from producers.report.summary import PbxNow, Report
from producers.report.tally import Tally
from worker.hopper import Hopper
from worker.settings import Settings


def gather(
    hopper: Hopper,
    settings: Settings,
    span: Span,
    *,
    with_extensions: bool = True,
    by: str | None = None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Report:
    """
    Count what ended within *span*, and what waits now.

    Jobs are counted as they come from Redis, so any number takes the same memory: about 20,000 a second.

    Args:
        hopper: Where the jobs are.
        settings: Which PBXs there are, and their limits.
        span: The stretch of time.
        with_extensions: Whether extensions are told.
        by: Name of the entry of the metadata that jobs are grouped by.
        progress: Called with the number of jobs counted so far, every few hundred.

    Raises:
        redis.exceptions.RedisError: If Redis does not answer.
    """
    tally = Tally(span, by)
    for count, job in enumerate(hopper.ended_jobs(span.since, span.until, entry=by or ""), 1):
        tally.add(job)
        if count % 500 == 0:
            progress(count)
    edges = span.edges()
    handed_in, ended = hopper.handed_in_by(edges), hopper.ended_by(edges)
    return tally.report(
        made_at=hopper.now(),
        retain_s=settings.retain_s,
        stock=[max(0, came - went) for came, went in zip(handed_in, ended, strict=True)],
        limits={name: 60 * pbx.calls_per_second for name, pbx in settings.pbx.items()},
        now=_now(hopper, settings),
        with_extensions=with_extensions,
    )


def _now(hopper: Hopper, settings: Settings) -> dict[str, PbxNow]:
    glances = hopper.overview(list(settings.pbx)).pbxs
    return {one.name: PbxNow(one.waiting_in_all, one.later, one.oldest_in_all_s) for one in glances}
