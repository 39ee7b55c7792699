"""What holds jobs and PBXs back now, in the words of `outdial why`: for one job, and for a list shown live."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from producers.enqueue import Dialer
from producers.facts import facts_of
from producers.masking import masked
from producers.obstacles import of_all_pbxs
from producers.pauses import author_words
from producers.waits import Explanation, plain_obstacle
from worker.hopper import Overview, PbxGlance
from worker.jobs import DialResult

# A list that is shown live asks for each job no more often than this: a job costs Redis about 0.1 ms.
_ASK_EVERY_S = 2.0
# One look at so many PBXs takes about 3 ms. For a key with more of them, only what stops all PBXs is shown.
_MOST_PBXS = 50

Plain = dict[str, Any]


def obstacle_of(dialer: Dialer, result: DialResult) -> Plain | None:
    """
    Return the main obstacle of a job, with the fields of `outdial why --json`.

    Returns:
        None for a job that has ended, or that nothing holds back.

    Raises:
        redis.exceptions.RedisError: If Redis does not answer.
    """
    facts = None if result.state.is_final else facts_of(dialer.hopper, result.job_id)
    if facts is None:
        return None
    found = Explanation.of(result.job_id, facts, dialer.settings).found
    return plain_obstacle(found[0]) if found else None


class Holding:
    """
    What holds the jobs of one list back, and their PBXs.

    Answers are kept for two seconds, so that a list which changes often costs Redis no more.

    Args:
        dialer: The door to Redis.
        pbxs: Those that are shown; empty for all of the settings.
    """

    def __init__(self, dialer: Dialer, pbxs: Sequence[str]) -> None:
        self._dialer = dialer
        self._pbxs = pbxs
        self._known: dict[tuple[str, str], tuple[float, Plain | None]] = {}
        self._standstill: tuple[float, Plain | None] = (float("-inf"), None)

    def look(self, jobs: Sequence[DialResult]) -> Plain:
        """
        Return {jobs: each as a result, with its `obstacle`; standstill: see `standstill_of`}.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer.
        """
        now = time.monotonic()
        if now - self._standstill[0] >= _ASK_EVERY_S:
            self._standstill = now, standstill_of(self._dialer.hopper.overview(self._names()))
        before, self._known = self._known, {}
        for job in jobs:
            if not job.state.is_final:
                name = (job.job_id, str(job.state))
                asked_at, obstacle = before.get(name, (float("-inf"), None))
                if now - asked_at >= _ASK_EVERY_S:
                    asked_at, obstacle = now, obstacle_of(self._dialer, job)
                self._known[name] = asked_at, obstacle
        shown = [
            job.plain() | {"obstacle": self._known.get((job.job_id, str(job.state)), (0.0, None))[1]}
            for job in jobs
        ]
        return {"jobs": shown, "standstill": self._standstill[1]}

    def _names(self) -> list[str]:
        # Asked each time, for a reload may bring PBXs.
        names = [name for name in self._pbxs if name] or list(self._dialer.settings.pbx)
        return names if len(names) <= _MOST_PBXS else []


def standstill_of(overview: Overview) -> Plain | None:
    """Return {sentence, everywhere: whether it stops all PBXs} for what keeps calls from beginning, or None."""
    reasons = [reason for glance in overview.pbxs for reason in _of_pbx(glance)]
    if overview.everything_paused:
        return {"sentence": f"everything is paused{author_words(overview.everything_pause)}", "everywhere": True}
    for stop in of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers)):
        return {"sentence": masked(stop.sentence), "everywhere": True}
    if not reasons:
        return None
    others = len(reasons) - 1
    more = f", and {others} more PBX{'s take' if others > 1 else ' takes'} no calls" if others else ""
    return {"sentence": reasons[0] + more, "everywhere": len(reasons) == len(overview.pbxs)}


def _of_pbx(glance: PbxGlance) -> Iterator[str]:
    if glance.is_paused:
        yield f"PBX {glance.name} is paused{author_words(glance.pause)}"
    elif glance.breaker.state != "closed":
        yield f"PBX {glance.name} takes no calls: {masked(glance.breaker.reason) or 'no reason was given'}"
    elif not glance.is_known:
        yield f"no worker knows PBX {glance.name}"
