"""The hopper's steps about jobs of which nobody knows whether they rang."""

from collections.abc import Iterable, Sequence

from worker.hopper.answers import Doubted, LookTurn
from worker.hopper.looking import Looking
from worker.jobs import Doubt
from worker.settings import LookSettings


class Doubts(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    _looks: LookSettings

    def doubt(
        self,
        job_id: str,
        nonce: str,
        doubt: Doubt,
        *,
        errno: str,
        error: str,
        callid: str = "",
        free: bool = False,
    ) -> bool:
        """
        Mark a claimed job as uncertain, so that the reconciler resolves it.

        Args:
            job_id: The job.
            nonce: Of the claim.
            doubt: Why it is uncertain.
            errno: Why, as shown until it is resolved.
            error: The same as a sentence.
            callid: From the PBX, if it took the call; the reconciler then ends the job as placed.
            free: Another try costs no attempt.

        Returns:
            False if the claim was no longer the caller's.
        """
        times = self._look_times()
        known = (errno, error, *times, callid, "1" if free else "")
        answer = self._scripts.run("doubt", job_id, nonce, doubt, *known)
        return bool(answer[0] == "doubted")

    def bury(self, incarnation: str, *, errno: str, error: str) -> int:
        """Put the claims of a worker process that is surely dead in doubt; returns how many there were."""
        return int(self._scripts.run("bury", incarnation, errno, error, *self._look_times()))

    def look_turn(self, *, lease_s: float, most: int = 100) -> LookTurn | float | None:
        """
        Ask which PBX is to be looked at.

        Args:
            lease_s: Should the caller die, somebody else looks after so long.
            most: Jobs to look after at once at most; those that waited longest.

        Returns:
            The turn; else seconds until there is one; None while nothing is in doubt.
        """
        word, *rest = self._scripts.run("look_turn", lease_s, most, self._looks.permits)
        if word == "none":
            seconds = float(rest[0])
            return seconds if seconds >= 0 else None
        pbx, unasked, token, generation, ahead_s, now, *flat = rest
        jobs = tuple(_doubted(pbx, float(now), flat[i : i + 17]) for i in range(0, len(flat), 17))
        return LookTurn(
            pbx,
            ask=unasked != "1",
            token=token,
            generation=int(generation),
            clock_ahead_s=float(ahead_s),
            jobs=jobs,
        )

    def looked(self, pbx: str, *, next_s: float, answered: bool, still: Iterable[tuple[Doubted, str]]) -> bool:
        """
        Say what a look has told about the jobs still in doubt.

        Args:
            pbx: What was looked at.
            next_s: Seconds until the next look, if there is still a doubt.
            answered: Whether the PBX gave an answer, which lets a call probe it if its breaker is open.
            still: Each job and what was seen of it (see `worker.evidence.Sight`).

        Returns:
            Whether the breaker is half open by it.
        """
        flat: list[str] = []
        for job, sight in still:
            since = "0" if job.quiet_s is None else "1"
            flat += [job.id, "1" if sight == "engaged" else "", since, "1" if sight == "quiet" else ""]
        return bool(self._scripts.run("looked", pbx, next_s, "1" if answered else "", *flat) == "1")

    def _look_times(self) -> tuple[float, float]:
        return self._looks.at_most_s, self._looks.every_s


def _doubted(pbx: str, now: float, row: Sequence[str]) -> Doubted:
    job_id, nonce, extid, outto, doubt, on_unknown, claimed_at, doubted_at, engaged, quiet_since, *rest = row
    attempts, trying_s, errno, error, trace, callid, is_free = rest
    return Doubted(
        id=job_id,
        nonce=nonce,
        pbx=pbx,
        extid=extid,
        outto=outto,
        doubt=Doubt(doubt),
        on_unknown=on_unknown,
        claimed_at=float(claimed_at),
        waited_s=now - float(doubted_at),
        was_engaged=engaged == "1",
        quiet_s=now - float(quiet_since) if float(quiet_since) else None,
        attempts=int(attempts),
        trying_s=float(trying_s),
        errno=errno,
        error=error,
        trace=trace,
        callid=callid,
        is_free=is_free == "1",
    )
