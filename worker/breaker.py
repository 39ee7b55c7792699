"""
The breaker of each PBX, as the workers feed it and log it; its state and its rules live in the hopper.

Closed: calls go. Open: after some failures in a row no worker dials that PBX for a while, and its jobs wait in
their lanes without losing an attempt. Half open: one call goes as a probe, once the PBX has answered a request
that rings no phone; an answer closes the breaker, a failure opens it for longer. Looks at doubtful jobs go on
meanwhile. An answered look ends the rest of a PBX that could not be reached, but not of one that loses dials or
asked for the rest.
"""

import structlog

from worker import metrics
from worker.errors import AttemptFailed, OutcomeUnknown
from worker.hopper import Hopper
from worker.retries import until_redis_answers

log = structlog.get_logger()

# Who tried, where it was no job.
LOOK = "look"


def failed(hopper: Hopper, pbx: str, failure: AttemptFailed, *, by: str) -> None:
    """
    Count a PBX that could not be reached, or sent no answer.

    Args:
        hopper: Holds the breaker.
        pbx: Name of the PBX.
        failure: What happened.
        by: The job that tried, or `LOOK`.
    """
    # Each dial without an answer may cost a person time, so those are spaced further apart than questions.
    seconds = until_redis_answers(
        hopper.unreachable,
        pbx,
        reason=str(failure),
        by=by,
        lost_dial=by != LOOK and isinstance(failure, OutcomeUnknown),
        asked_rest_s=failure.asked_rest_s,
    )
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
