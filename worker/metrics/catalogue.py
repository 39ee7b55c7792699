"""Every metric there is, as data: what counts, what tells, the documentation and the dashboards agree by this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
# Who tells a metric: the installation through Redis (each host tells the same), or the processes of one host.
Source = Literal["installation", "worker", "api", "both"]

_SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """
    One metric.

    `labels` are the names of its labels, in order; a histogram's series have `le` too. `buckets` are upper bounds
    in seconds, of a histogram alone. `firsts`: of labels that are not names of PBXs or endpoints, the values told
    as 0 before anything was counted; a metric with a label missing there is told from its first event on.
    """

    name: str
    type: Kind
    help: str
    source: Source
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    firsts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), compare=False)

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries can use."""
        return tuple(f"{self.name}{suffix}" for suffix in _SUFFIXES[self.type])


# Dialing a PBX in the same building takes some milliseconds, its longest time-out 15 s.
_POST_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_QUEUE_S = (0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900)
_WEBHOOK_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# The intake promises an answer within five seconds.
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

BREAKER_STATES = ("closed", "open", "half-open")
ENDPOINT_STATES = ("well", "failing", "disabled")


def _state(name: str, help_: str, *labels: str) -> Family:
    return Family(f"outdial_{name}", "gauge", help_, "installation", labels)


def _count(name: str, help_: str, *labels: str, source: Source = "worker", **firsts: tuple[str, ...]) -> Family:
    return Family(f"outdial_{name}_total", "counter", help_, source, labels, firsts=MappingProxyType(firsts))


def _time(name: str, help_: str, *labels: str, buckets: tuple[float, ...], source: Source = "worker") -> Family:
    return Family(f"outdial_{name}_seconds", "histogram", help_, source, labels, buckets)


_INSTALLATION = (
    _state(
        "redis_up",
        "Whether Redis answered this scrape in time; else nothing more of the installation is told.",
    ),
    _state("waiting_jobs", "Jobs that may go as soon as pacing allows.", "pbx", "priority"),
    _state(
        "oldest_waiting_seconds",
        "Seconds since the oldest of those could first go; 0 where none waits.",
        "pbx",
        "priority",
    ),
    _state("later_jobs", "Jobs with a time to come: not_before, or parked for another attempt.", "pbx"),
    _state("released_jobs", "Jobs handed to Celery and not yet claimed.", "pbx"),
    _state("doubtful_jobs", "Claimed jobs of which nobody knows yet whether they rang.", "pbx"),
    _state("open_calls", "Lines taken, by calls and for as long as their leases last.", "pbx"),
    _state("max_open_calls", "Lines that may be taken at once; 0 before the first worker told them.", "pbx"),
    _state("calls_per_second_limit", "Permits per second over all hosts; 0 before the first worker.", "pbx"),
    _state("breaker_state", "1 for the state that the PBX's breaker is in.", "pbx", "state"),
    _state("login_barred", "Whether the PBX takes no calls because it refused our log-in.", "pbx"),
    _state("paused", "Whether this PBX was paused by hand.", "pbx"),
    _state("everything_paused", "Whether everything was paused by hand."),
    _state("workers", "Worker processes alive, on all hosts."),
    _state("worker_slots", "Calls that they can place at once."),
    _state("unknown_jobs", "Jobs that ended as unknown within the last 24 hours and are unknown still."),
    _state("undelivered_results", "Results that have not reached the results backend yet."),
    _state("set_aside", "Things that could not be used, of the last week or so; `outdial doctor` names them."),
    _state("webhook_waiting", "Deliveries on their way to an endpoint, those under way included.", "endpoint"),
    _state("webhook_dead", "Deliveries that were given up, and are kept to be replayed.", "endpoint"),
    _state("webhook_endpoint_state", "1 for the state that an endpoint is in.", "endpoint", "state"),
    _state("couriers", "Processes alive that bring results to endpoints, on all hosts."),
    _state("redis_memory_bytes", "Memory that Redis uses."),
    _state("redis_memory_limit_bytes", "Memory that Redis may use; 0: as much as there is."),
    _state("redis_aof_enabled", "Whether Redis keeps an append-only file; else a restart loses jobs."),
    _state("redis_connected_replicas", "Replicas connected to this Redis."),
)

_WORKER = (
    _count("jobs_released", "Jobs handed to Celery by the pacers of this host."),
    _count("claims", "Claims that were granted: each takes a permit, a line and the extension.", "pbx"),
    _count(
        "permits",
        "Permits used, of those that calls_per_second allows: by calls, and by looks at doubtful jobs.",
        "pbx",
        "use",
        use=("call", "look"),
    ),
    _time(
        "post",
        "From the beginning of a dial request to its answer or failure; its count is that of requests sent.",
        "pbx",
        buckets=_POST_S,
    ),
    _time(
        "queue_to_ring",
        "From when a job could first go to the answer that placed it, with all its waits and attempts.",
        "pbx",
        buckets=_QUEUE_S,
    ),
    _count(
        "attempts",
        "Attempts at a call by outcome (placed, not_placed, in_doubt) and errno, which is empty for placed.",
        "pbx",
        "outcome",
        "errno",
        outcome=("placed",),
        errno=("",),
    ),
    _count(
        "jobs_ended",
        "Jobs by the state they ended in, counted when their result has reached the results backend. "
        "One that ended as unknown and was resolved later counts again under its new state.",
        "pbx",
        "state",
        "errno",
        state=("placed",),
        errno=("",),
    ),
    _count("retries", "Attempts after a job's first one, but for those that cost it none.", "pbx"),
    _count(
        "parks",
        "Times that a job left a worker's slot for its lane: for a word of the pacing, or after an errno.",
        "pbx",
        "reason",
    ),
    _count(
        "doubts",
        "Attempts that left a job in doubt; those of dead processes are among the doubts resolved only.",
        "pbx",
    ),
    _count(
        "doubts_resolved",
        "Doubts that ended, and how: adopt (its call was found), retry, redial, unknown.",
        "pbx",
        "verdict",
        verdict=("adopt", "retry", "redial", "unknown"),
    ),
    _count("breaker_openings", "Times that the PBX's breaker opened, after a failed probe too.", "pbx"),
    _count(
        "token_logins",
        "Log-ins to the PBX: ok, refused (wrong or locked), failed (no answer, or another code).",
        "pbx",
        "result",
        result=("ok", "refused", "failed"),
    ),
    _count(
        "webhook_attempts",
        "Attempts to tell a result: delivered, again (another follows), dead (given up), nothing, stale.",
        "endpoint",
        "result",
        result=("delivered", "again", "dead"),
    ),
    _time(
        "webhook",
        "From the beginning of a request to an endpoint to its answer or failure.",
        "endpoint",
        buckets=_WEBHOOK_S,
    ),
    _count(
        "worker_process_starts",
        "Processes that the supervisor of this host started; more than it has slots: some died.",
    ),
)

_API = (
    _count(
        "http_requests",
        "Requests to the intake by route (its template, never the path), method and status.",
        "route",
        "method",
        "status",
        source="api",
    ),
    _time(
        "http_request",
        "From the beginning of a request to the end of its answer.",
        "route",
        buckets=_REQUEST_S,
        source="api",
    ),
    _count(
        "jobs_accepted",
        "New jobs that the intake kept, by the door they came through; repeats are none.",
        "door",
        source="api",
        door=("api", "batch", "hook"),
    ),
)

_BOTH = (
    _count("redis_away", "Times that a step found Redis away, as often as the log tells it.", source="both"),
    Family("outdial_build_info", "gauge", "1; the version that runs.", "both", ("version",)),
)


@cache
def catalogue() -> Mapping[str, Family]:
    """Return all metrics by name; of a histogram the name without suffix."""
    return MappingProxyType({family.name: family for family in (*_INSTALLATION, *_WORKER, *_API, *_BOTH)})


def families_of(*sources: Source) -> list[Family]:
    """Return the metrics that these sources tell, in the order of the catalogue."""
    return [family for family in catalogue().values() if family.source in sources]
