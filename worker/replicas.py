"""The last question before a phone rings: would a fail-over remember its claim?"""

import redis
import structlog

from worker import redis_away
from worker.errors import NotReplicated
from worker.hopper import Hopper

log = structlog.get_logger()


class Replicas:
    """
    Asks whether replicas have a claim, and logs when they begin to be missing, and when they are back.

    Shared by all threads of a process.

    Args:
        hopper: Where the claims are; its settings say how many replicas must have one (`wait_replicas`).
    """

    def __init__(self, hopper: Hopper) -> None:
        self._hopper = hopper
        self._are_missing = False  # told once

    def make_sure_of(self, job_id: str, nonce: str) -> None:
        """
        Return if no fail-over may forget a claim: its phone may ring then.

        Args:
            job_id: The job.
            nonce: Of the claim.

        Raises:
            NotReplicated: If too few replicas have it, or nobody can say: nobody dials.
            redis.exceptions.RedisError: If Redis refuses for good.

        Source: ADR 0009.
        """
        try:
            is_safe = self._hopper.is_replicated(job_id, nonce)
        except redis.RedisError as error:
            if not redis_away.is_away(error):
                raise
            is_safe = False
        self._tell(is_missing=not is_safe)
        if not is_safe:
            raise NotReplicated("replicas_missing", "fewer replicas than wait_replicas have the claim")

    def _tell(self, *, is_missing: bool) -> None:
        if is_missing == self._are_missing:
            return
        self._are_missing = is_missing
        if is_missing:
            log.warning("replicas_missing")
        else:
            log.info("replicas_back")
