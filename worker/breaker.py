"""
The breaker of each PBX, as the workers feed it and tell of it; its state and its rules live in the hopper.

Closed: calls go. Open: after some failures in a row nobody dials that PBX for a while, and its jobs wait in their
lanes without losing an attempt. Half open: one call goes as a probe; an answer closes the breaker, a failure opens
it for longer. Looks at doubtful jobs go on meanwhile, and one that is answered ends the rest before its time.
"""

import structlog

from worker import metrics
from worker.errors import AttemptFailed
from worker.hopper import Hopper
from worker.retries import until_redis_answers

log = structlog.get_logger()


def failed(hopper: Hopper, pbx: str, failure: AttemptFailed, *, by: str) -> None:
    """
    Count a PBX that could not be reached, or sent no answer.

    Args:
        hopper: Holds the breaker.
        pbx: Name of the PBX.
        failure: What happened.
        by: The job that tried, or `look`.
    """
    seconds = until_redis_answers(hopper.unreachable, pbx, reason=str(failure), by=by)
    if seconds is not None:
        metrics.breaker_opened(pbx)
        log.warning(
            "breaker_opened", pbx=pbx, errno=failure.errno, error=failure.error, next_try_s=round(seconds, 1)
        )


def closed(pbx: str) -> None:
    """Tell that an answer of the PBX closed its breaker."""
    log.info("breaker_closed", pbx=pbx)


def half_open(pbx: str) -> None:
    """Tell that the PBX answered a look, so that a call may probe it."""
    log.info("breaker_half_open", pbx=pbx)
