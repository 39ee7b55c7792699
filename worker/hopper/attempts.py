"""The hopper's steps of one attempt at a call: from its release to what came of it."""

from worker.hopper.answers import (
    Back,
    Claim,
    Doubted,
    Ended,
    Finished,
    Go,
    NoToken,
    NotYours,
    Parked,
    Wait,
)
from worker.hopper.looking import Looking
from worker.jobs import DialResult, JobState
from worker.settings import ReplicationSettings, TimeLimits


class Attempts(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    _limits: TimeLimits
    _replication: ReplicationSettings
    _retain_s: int

    def release(
        self, queue: str, message: str, *, most: int, most_released: int, lookahead_s: float
    ) -> tuple[int, float | None]:
        """
        Hand due jobs to Celery.

        Args:
            queue: Celery's queue.
            message: A Celery message with @ID@ and @TAG@ in place of job id and delivery tag.
            most: Jobs to release now at most.
            most_released: Jobs that may be released and unclaimed at any time, over all workers.
            lookahead_s: How long before its permit a job may be released.

        Returns:
            How many were released, and seconds until there is more to do (None: when woken).
        """
        count, seconds = self._scripts.run(
            "release",
            most,
            most_released,
            lookahead_s,
            self._limits.release_ttl_s,
            self._limits.claim_dead_s,
            self._retain_s,
            message,
            extra_keys=(queue,),
        )
        return int(count), None if float(seconds) < 0 else float(seconds)

    def claim(self, job_id: str, nonce: str, *, slot_wait_s: float, incarnation: str = "") -> Claim:
        """
        Take everything one call needs, or learn why not.

        Args:
            job_id: A released job.
            nonce: Names this claim; the same one again gets the same answer.
            slot_wait_s: Longest wait the caller sleeps itself; beyond it the job goes back to its lane.
            incarnation: Of the worker process, for `bury`.
        """
        word, *rest = self._scripts.run(
            "claim", job_id, nonce, self._limits.claim_dead_s, slot_wait_s, self._retain_s, incarnation
        )
        match word:
            case "go":
                pbx, extid, outto, autoanswer, attempts, age_s, token, generation, trace, *tries = rest
                call = (pbx, extid, outto, autoanswer, int(attempts), float(age_s))
                trying_s, in_vain, probe, send_in_s = tries
                so_far = (float(trying_s), int(in_vain))
                return Go(*call, token, int(generation), trace, *so_far, probe == "1", float(send_in_s))
            case "wait":
                return Wait(float(rest[0]))
            case "login":
                return NoToken(rest[0])
            case "back":
                return Back(pbx=rest[2], reason=rest[1])
            case "ended":
                return Ended(JobState(rest[0]), rest[1])
            case _:
                return NotYours(rest[0])

    def is_replicated(self, job_id: str, nonce: str) -> bool:
        """
        Whether a claim is the caller's, and as many replicas have it as the settings ask for.

        True at once where they ask for none. False means that nobody may dial, and so does an error.

        Args:
            job_id: The job.
            nonce: Of the claim.
        """
        wanted, wait_s = self._replication.wait_replicas, self._replication.wait_s
        if not wanted:
            return True
        is_mine, have = self._scripts.run_and_wait("confirm", job_id, nonce, replicas=wanted, wait_s=wait_s)
        return bool(is_mine) and have >= wanted

    def finish(
        self,
        job_id: str,
        nonce: str,
        state: JobState,
        claim: Go | Doubted,
        *,
        answered: bool = True,
        nothing_runs: bool = False,
        **facts: str,
    ) -> Finished | None:
        """
        End a claimed job.

        Args:
            job_id: The job.
            nonce: Of the claim.
            state: placed, failed or unknown.
            claim: What the claim said; saves reading the record again.
            answered: Whether the PBX gave an answer, which closes its breaker.
            nothing_runs: The extension has been seen idle, so it and the line are free.
            facts: `callid` or `outboundid`, or `errno` and `error`.

        Returns:
            The result, now also in the outbox; None if the claim was no longer the caller's.
        """
        fields = [part for pair in facts.items() for part in pair]
        flags = ("1" if nothing_runs else "", "1" if answered else "")
        word, *rest = self._scripts.run("finish", job_id, nonce, state, self._retain_s, *flags, *fields)
        if word != "done":
            return None
        finished_at, attempts, enqueued_at, metadata, closed, callid, outboundid, placed_at = rest
        record = {"state": state, "pbx": claim.pbx, "extid": claim.extid, "attempts": attempts, **facts}
        record |= {"enqueued_at": enqueued_at, "finished_at": finished_at, "metadata": metadata}
        if state is JobState.PLACED:
            record |= {"placed_at": placed_at or None, "callid": callid or None, "outboundid": outboundid or None}
        return Finished(DialResult.from_record(job_id, record), breaker_closed=closed == "1")

    def park(  # noqa: PLR0913  as above
        self,
        job_id: str,
        nonce: str,
        *,
        delay_s: float,
        free: bool = False,
        in_slot: bool = False,
        rest_s: float = 0,
        errno: str = "",
        error: str = "",
        answered: bool = False,
        in_vain: bool = False,
    ) -> Parked | None:
        """
        Send a claimed job round again.

        Args:
            job_id: The job.
            nonce: Of the claim.
            delay_s: Not before so many seconds from now.
            free: The attempt is given back.
            in_slot: The caller keeps the job, sleeps *delay_s* and claims again.
            rest_s: The extension takes no other call for so long.
            errno: Why, as shown until the next attempt.
            error: The same as a sentence.
            answered: Whether the PBX gave an answer, which closes its breaker.
            in_vain: Whether the job met a busy agent or line.

        Returns:
            None if the claim was no longer the caller's.
        """
        flags = ("1" if free else "", "1" if in_slot else "")
        times = (self._limits.release_ttl_s, self._limits.claim_dead_s)
        told = (errno, error, "1" if answered else "", "1" if in_vain else "")
        word, *rest = self._scripts.run("park", job_id, nonce, delay_s, *flags, rest_s, *times, *told)
        return Parked(breaker_closed=rest[0] == "1") if word == "parked" else None

    def hand_back(self, job_id: str, *, delay_s: float = 0, reason: str = "") -> bool:
        """Return a released job to its lane unclaimed; False if it was not released any more."""
        return bool(self._scripts.run("hand_back", job_id, delay_s, reason))
