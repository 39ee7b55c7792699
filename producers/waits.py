"""What a job waits for: the one sentence of `outdial status`, and the whole answer of `outdial why`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from producers.facts import Facts
from producers.masking import masked
from producers.obstacles import Obstacle, obstacles, place_in_lane
from producers.times import duration, iso, iso_or_none, told
from worker.jobs import DialResult, JobState
from worker.settings import Settings

_HAND_IN_AGAIN = "enqueue the job again, under another key"


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What is to be said about one job.

    Args:
        job_id: The job.
        facts: As of one moment.
        found: What holds it back, the main obstacle first.
        result: What is known of it; None if its record is damaged.
    """

    job_id: str
    facts: Facts
    found: tuple[Obstacle, ...]
    result: DialResult | None = None

    @classmethod
    def of(cls, job_id: str, facts: Facts, settings: Settings, result: DialResult | None = None) -> "Explanation":
        """Explain *facts* to somebody with these settings."""
        in_settings = facts.pbx in settings.pbx
        found = obstacles(facts, in_settings=in_settings, looks_at_most_s=settings.look.at_most_s)
        return cls(job_id, facts, tuple(found), result)

    @property
    def summary(self) -> str:
        """What holds the job back mainly, or what came of it, in one sentence."""
        facts = self.facts
        if facts.is_damaged:
            return f"its record is damaged, so nothing dials it any more: {masked(facts.damage)}"
        if facts.state == JobState.UNKNOWN:
            cause = ": ".join(part for part in (facts.errno, facts.error) if part)
            return f"nobody knows whether the phone rang; {cause or 'no reason was given'}"
        if facts.is_final:
            return self._end()
        return self.found[0].sentence if self.found else f"nothing; its turn on PBX {facts.pbx} comes at once"

    @property
    def advice(self) -> tuple[str, ...]:
        """What a person can do, a sentence each."""
        facts = self.facts
        if facts.is_damaged:
            return (_HAND_IN_AGAIN,)
        if facts.state == JobState.UNKNOWN:
            when = f" at {told(facts.claimed_at)}" if facts.claimed_at else ""
            return (
                f"look in the call records of PBX {facts.pbx} for a call of extension {facts.extid}{when}",
                f"say what came of it: `outdial resolve {self.job_id}` and --placed CALLID, --redial or --failed",
            )
        if facts.state in (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED):
            return (f"bring it back by `outdial redial {self.job_id}` if it should still be called",)
        return tuple(dict.fromkeys(one.advice for one in self.found if one.advice))

    @property
    def waits_for(self) -> str | None:
        """What the job waits for, with what a person can do about it; None if it waits for nothing any more."""
        if self.facts.state == JobState.UNKNOWN:
            return f"a person; {self.advice[-1]}"
        if self.facts.is_damaged or self.facts.is_final:
            return None
        main = self.found[0] if self.found else None
        return f"{main.sentence}; {main.advice}" if main and main.advice else self.summary

    @property
    def earliest(self) -> float:
        """A time before which the job surely does not go as things stand, in unix seconds; 0: it may go now."""
        at = max((one.until for one in self.found), default=0.0)
        return at if at > self.facts.now else 0.0

    @property
    def needs_person(self) -> bool:
        """Whether the job goes only after a person has done something."""
        return self.facts.state == JobState.UNKNOWN or any(one.needs_person for one in self.found)

    @property
    def expires_first(self) -> bool:
        """Whether the job's time runs out before it may go."""
        return 0 < self.facts.expires_at <= max(self.earliest, self.facts.now)

    def plain(self) -> dict[str, Any]:
        """Return the whole as JSON-ready values; the fields stand in the help of `outdial why`."""
        facts, in_lane = self.facts, self.facts.position >= 0
        can_go = facts.state in (JobState.WAITING, JobState.RELEASED)
        return {
            "job_id": self.job_id,
            "state": facts.state,
            "pbx": facts.pbx or None,
            "extid": facts.extid or None,
            "as_of": iso_or_none(facts.now),
            "summary": self.summary,
            "obstacles": [plain_obstacle(one) for one in self.found],
            "advice": list(self.advice),
            "needs_person": self.needs_person,
            "earliest": iso(self.earliest or facts.now) if can_go else None,
            "earliest_in_s": round(max(0.0, self.earliest - facts.now), 3) if can_go else None,
            "expires_at": iso_or_none(facts.expires_at),
            "expires_first": self.expires_first,
            "place": facts.position + 1 if in_lane else None,
            "lane_length": facts.lane_length if in_lane else None,
            "behind": facts.ahead or None,
            "lanes_ahead": facts.lanes_ahead if facts.position == 0 else None,
            "result": self.result.plain() if self.result and facts.is_final else None,
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines for a person."""
        facts = self.facts
        yield _line("job", f"{self.job_id}, {'in doubt' if facts.is_doubted else facts.state}")
        if self.found:
            yield from self._obstacle_lines()
        else:
            yield _line("held by" if facts.state == JobState.WAITING else "so", self.summary)
            yield from (_line("", f"-> {advice}") for advice in self.advice)
        if facts.position >= 0 and not any(one.kind == "lane" for one in self.found):
            yield _line("place", place_in_lane(facts))
        if facts.state in (JobState.WAITING, JobState.RELEASED):
            yield _line("earliest", self._earliest_words())
            if facts.expires_at:
                left_s = facts.expires_at - facts.now
                when = f"in {duration(left_s)}" if left_s > 0 else "which is over"
                early = ": before it may go" if self.expires_first and left_s > 0 else ""
                yield _line("expires", f"{told(facts.expires_at)}, {when}{early}")

    def _obstacle_lines(self) -> Iterator[str]:
        begun = self.facts.state == JobState.CLAIMED
        for number, one in enumerate(self.found):
            yield _line("also" if number else "now" if begun else "held by", one.sentence)
            if one.advice:
                yield _line("", f"-> {one.advice}")

    def _earliest_words(self) -> str:
        acted = ", once a person has acted" if self.needs_person else ""
        if not self.earliest:
            return f"at any moment{acted}" if self.found else "now"
        when = f"{told(self.earliest)}, in {duration(self.earliest - self.facts.now)}{acted}"
        return f"{when}; not before that, and later if what is ahead takes longer"

    def _end(self) -> str:
        if self.result is None:
            return self.facts.state
        if self.result.finished_at is None:
            return self.result.sentence()
        at = self.result.finished_at.timestamp()
        return f"{self.result.sentence()}, at {told(at)}, {duration(self.facts.now - at)} ago"


def plain_obstacle(obstacle: Obstacle) -> dict[str, Any]:
    """Return an obstacle as JSON-ready values, without telephone numbers; see the help of `outdial why`."""
    return {
        "kind": obstacle.kind,
        "sentence": masked(obstacle.sentence),
        "advice": obstacle.advice or None,
        "until": iso_or_none(obstacle.until),
        "at_most": iso_or_none(obstacle.at_most),
        "job_id": obstacle.job_id or None,
        "needs_person": obstacle.needs_person,
    }


def _line(name: str, text: str) -> str:
    return f"{name:<10} {text}"
