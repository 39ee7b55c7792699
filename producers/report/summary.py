"""What a report says, as values: the page and the JSON are made from these, and nothing else."""

from dataclasses import asdict, dataclass
from typing import Any

from producers.report.spans import Span
from producers.times import iso, iso_or_none
from worker.jobs import JobState

# Of the ends there are, in the order in which they are shown.
ENDS = (
    JobState.PLACED,
    JobState.FAILED,
    JobState.UNKNOWN,
    JobState.EXPIRED,
    JobState.CANCELLED,
    JobState.REFUSED,
)


@dataclass(frozen=True, slots=True)
class Ends:
    """How many jobs ended in each final state."""

    placed: int = 0
    failed: int = 0
    unknown: int = 0
    expired: int = 0
    cancelled: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        """Of all states."""
        return sum(self.of(state) for state in ENDS)

    def of(self, state: JobState) -> int:
        """Of one final state."""
        count: int = getattr(self, state.value)
        return count

    @property
    def placed_share(self) -> float | None:
        """Which part of those that were to be dialed was placed; None if none was."""
        dialed = self.placed + self.failed + self.unknown
        return self.placed / dialed if dialed else None


@dataclass(frozen=True, slots=True)
class Latency:
    """
    How long placed calls took, in seconds, from when the job could first go to the PBX's answer.

    `bars` are counts by the upper ends `waits.BARS`, and one for what took longer. Quantiles are good to 3 %, and
    None where there was no call.
    """

    count: int
    median_s: float | None
    p95_s: float | None
    p99_s: float | None
    longest_s: float
    bars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """Counts per bin of the span: `placed` calls, and attempts `begun`; `limit` is calls per minute, or None."""

    placed: tuple[int, ...]
    begun: tuple[int, ...]
    limit: float | None


@dataclass(frozen=True, slots=True)
class Peak:
    """The most `calls` placed within any 60 s, the last of them at `until` (unix seconds; 0: there was none)."""

    calls: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class PbxNow:
    """
    What waits for one PBX at the time of the report.

    `waiting` jobs may go as soon as pacing allows, the oldest of them for `oldest_s` seconds; `later` ones have a
    time to come.
    """

    waiting: int
    later: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class PbxPart:
    """One PBX's part; `now` is None for one that is not in the settings (any more)."""

    name: str
    ends: Ends
    attempts: int
    latency: Latency
    flow: Flow
    now: PbxNow | None
    busiest: Peak = Peak()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why jobs ended without a call: `errno` as in results, the `sentence` of the first one, and how many."""

    errno: str
    sentence: str
    ends: Ends


@dataclass(frozen=True, slots=True)
class Tries:
    """Jobs that ended after so many `attempts`; the last line holds those with more too."""

    attempts: int
    placed: int
    not_placed: int


@dataclass(frozen=True, slots=True)
class ExtensionPart:
    """One extension's part."""

    pbx: str
    extid: str
    ends: Ends


@dataclass(frozen=True, slots=True)
class GroupPart:
    """The jobs with one `value` of the metadata that a report is broken down by."""

    value: str
    ends: Ends
    attempts: int
    latency: Latency


@dataclass(frozen=True, slots=True)
class UnknownJob:
    """
    A job that may have rung.

    `ended_at` is unix seconds; `extid` is empty where extensions are not to be shown.
    """

    id: str
    pbx: str
    extid: str
    ended_at: float
    errno: str


@dataclass(frozen=True, slots=True)
class Report:
    """
    All of it.

    `ended` are ends per bin of the span; `stock` is how many jobs had been handed in and not ended at each edge of
    the bins. `pbxs` are in order of calls; `causes` and `extensions` are those with the most jobs, `extensions`
    None where they were not to be shown; `unknowns` the last ones of `ends.unknown`. `by` names the entry of the
    metadata that `groups` are made by; None for neither.
    """

    span: Span
    made_at: float
    retain_s: int
    ends: Ends
    latency: Latency
    attempts: int
    flow: Flow
    ended: tuple[Ends, ...]
    stock: tuple[int, ...]
    pbxs: tuple[PbxPart, ...]
    causes: tuple[Cause, ...]
    tries: tuple[Tries, ...]
    extensions: tuple[ExtensionPart, ...] | None
    extension_count: int
    unknowns: tuple[UnknownJob, ...]
    busiest: Peak = Peak()
    by: str | None = None
    groups: tuple[GroupPart, ...] | None = None

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON-ready values; times are ISO 8601 in UTC."""
        span = self.span
        plain = asdict(self)
        plain["span"] = {
            "since": iso(span.since),
            "until": iso(span.until),
            "bin_s": span.width_s,
            "edges": [iso(edge) for edge in span.edges()],
            "timezone": span.zone_name,
        }
        for part in (plain, *plain["pbxs"]):
            part["busiest"]["until"] = iso_or_none(part["busiest"]["until"])
        plain["made_at"] = iso(self.made_at)
        for job in plain["unknowns"]:
            job["ended_at"] = iso(job["ended_at"])
        return plain
