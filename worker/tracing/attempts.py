"""The spans of one attempt at a call, and of what the looking found out about it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from structlog.contextvars import bind_contextvars

from worker import tracing
from worker.hopper import Doubted, Go


@contextmanager
def attempt_span(job_id: str, claim: Go, *, asked_at: float) -> Iterator[tracing.Span]:
    """
    Trace an attempt: how long its job had waited, how long its claim took, and what follows in the block.

    Args:
        job_id: The job.
        claim: Just granted.
        asked_at: When it was asked for, in unix seconds.
    """
    granted_at = time.time()
    if known := tracing.trace_id(claim.trace):
        bind_contextvars(trace_id=known)
        if claim.attempts == 1:
            tracing.past("wait", parent=claim.trace, began_at=granted_at - claim.age_s, ended_at=asked_at)
    facts: dict[str, tracing.Value] = {"outdial.job_id": job_id, "outdial.pbx": claim.pbx}
    facts["outdial.attempt"] = claim.attempts
    with tracing.span("dial", facts, kind="consumer", parent=claim.trace, began_at=asked_at) as span:
        tracing.past("claim", parent=tracing.current(), began_at=asked_at, ended_at=granted_at)
        yield span


def doubt_span(job: Doubted, verdict: str, reason: str) -> AbstractContextManager[tracing.Span]:
    """Trace what ends a doubt: from its beginning through all looks to what is done in the block."""
    if known := tracing.trace_id(job.trace):
        bind_contextvars(trace_id=known)
    facts = {"outdial.job_id": job.id, "outdial.pbx": job.pbx, "outdial.verdict": verdict, "outdial.why": reason}
    return tracing.span("look", facts, parent=job.trace, began_at=time.time() - job.waited_s)
