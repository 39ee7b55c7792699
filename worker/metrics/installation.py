"""The state of the installation, asked of Redis when somebody wants to know it."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import redis
import structlog
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.hopper import EndpointView, Hopper, Overview, ServerView, Unknowns, server_view
from worker.jobs import Priority
from worker.metrics.catalogue import BREAKER_STATES, ENDPOINT_STATES, families_of
from worker.redis_away import AwayLog, is_away

log = structlog.get_logger()

# PBXs asked for between two signs of life: about 25 ms.
_PART = 500
# An installation that takes longer than a scrape may is told as it was at most so long ago.
_STALE_S = 60.0

Row = tuple[str, tuple[str, ...], float]


class State:
    """
    Asks Redis for everything that the installation's metrics tell.

    Args:
        hopper: Used by nobody else: its time-outs are short.
        pbxs: Returns the names of the PBXs in the settings.
        endpoints: Returns the names of the targets of results in the settings.
    """

    def __init__(
        self, hopper: Hopper, *, pbxs: Callable[[], Sequence[str]], endpoints: Callable[[], Sequence[str]]
    ) -> None:
        self._hopper = hopper
        self._pbxs = pbxs
        self._endpoints = endpoints
        self._unknowns = Unknowns(hopper)

    def ask(self, heard: Callable[[], None]) -> list[Metric]:
        """
        Return the metrics of the installation but `outdial_redis_up`.

        Args:
            heard: Called each time that Redis has answered.

        Raises:
            redis.exceptions.RedisError: If it does not.
        """
        rows = [*_of_server(server_view(self._hopper))]
        heard()
        pbxs = self._pbxs()
        for first in range(0, max(1, len(pbxs)), _PART):
            overview = self._hopper.overview(pbxs[first : first + _PART])
            rows += _of_pbxs(overview)
            heard()
        rows += _of_all(overview)
        rows.append(("couriers", (), len(self._hopper.couriers_alive())))
        for name in self._endpoints():
            rows += _of_endpoint(self._hopper.endpoint(name))
        heard()
        rows.append(("unknown_jobs", (), self._unknowns.count()))
        return _told(rows)


class InstallationCollector(Collector):
    """
    Tells the state of the installation within a time, whatever Redis does.

    One thread asks. Where it has no whole answer in time, but Redis has answered something meanwhile, the last
    whole answer is told, for the installation is large and Redis well; where Redis has not, `outdial_redis_up` is
    0 and nothing else is told, for nobody knows it.

    Args:
        ask: Returns the metrics, and calls its argument at each sign of life (see `State.ask`).
        within_s: How long a scrape waits.
    """

    def __init__(self, ask: Callable[[Callable[[], None]], list[Metric]], *, within_s: float = 1.3) -> None:
        self._ask = ask
        self._within_s = within_s
        self._changed = threading.Condition()
        self._is_asking = False
        self._done_at = self._heard_at = self._told_at = -_STALE_S
        self._failed = False
        self._metrics: list[Metric] = []
        self._redis_is = AwayLog("metrics")

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without their values."""
        return (GaugeMetricFamily(family.name, family.help) for family in families_of("installation"))

    def collect(self) -> Iterator[Metric]:
        """Yield what is known by the end of the time."""
        began = time.monotonic()
        with self._changed:
            if not self._is_asking:
                self._is_asking = True
                threading.Thread(target=self._run, name="metrics", daemon=True).start()
            is_done = self._changed.wait_for(lambda: self._done_at >= began, self._within_s)
            is_up = not self._failed if is_done else self._heard_at >= began
            is_fresh = is_done or began - self._told_at < _STALE_S
            metrics = self._metrics if is_up and is_fresh else []
        yield from _told([("redis_up", (), float(is_up))])
        yield from metrics

    def _run(self) -> None:
        metrics, failed = None, False
        try:
            metrics = self._ask(self._heard)
            self._redis_is.back()
        except redis.RedisError as error:
            self._redis_is.away(error)
            failed = is_away(error)
        except Exception as error:
            # A value that somebody spoiled must not end the telling of all others' counts.
            log.exception("state_not_told", error=type(error).__name__)
        with self._changed:
            now = time.monotonic()
            self._is_asking, self._failed, self._done_at = False, failed, now
            self._metrics = metrics or []
            self._told_at = now
            self._changed.notify_all()

    def _heard(self) -> None:
        self._heard_at = time.monotonic()


def _of_server(server: ServerView) -> Iterator[Row]:
    yield "redis_memory_bytes", (), server.memory_bytes
    yield "redis_memory_limit_bytes", (), server.memory_limit_bytes
    yield "redis_aof_enabled", (), float(server.is_append_only)
    yield "redis_connected_replicas", (), server.replicas


def _of_pbxs(overview: Overview) -> Iterator[Row]:
    for pbx in overview.pbxs:
        name = (pbx.name,)
        for priority in Priority:
            yield "waiting_jobs", (pbx.name, str(priority)), pbx.waiting[priority]
            yield "oldest_waiting_seconds", (pbx.name, str(priority)), pbx.oldest_s[priority]
        yield "later_jobs", name, pbx.later
        yield "released_jobs", name, pbx.released
        yield "doubtful_jobs", name, pbx.in_doubt
        yield "open_calls", name, pbx.open_calls
        yield "max_open_calls", name, pbx.max_open_calls
        yield "calls_per_second_limit", name, pbx.calls_per_second
        for state in BREAKER_STATES:
            yield "breaker_state", (pbx.name, state), float(pbx.breaker.state == state)
        is_barred = pbx.barred_by == "login" and pbx.breaker.state == "open"
        yield "login_barred", name, float(is_barred)
        yield "paused", name, float(pbx.is_paused)


def _of_all(overview: Overview) -> Iterator[Row]:
    yield "everything_paused", (), float(overview.everything_paused)
    yield "workers", (), len(overview.workers)
    yield "worker_slots", (), sum(overview.workers.values())
    yield "undelivered_results", (), overview.undelivered
    yield "set_aside", (), overview.set_aside


def _of_endpoint(view: EndpointView) -> Iterator[Row]:
    yield "webhook_waiting", (view.name,), view.waiting + view.in_flight
    yield "webhook_dead", (view.name,), view.dead
    named = {"ok": "well"}.get(view.state, view.state)
    for state in ENDPOINT_STATES:
        yield "webhook_endpoint_state", (view.name, state), float(named == state)


def _told(rows: Sequence[Row]) -> list[Metric]:
    """Return the metrics that the rows are of: name without prefix, values of the labels, value."""
    metrics = {
        family.name: GaugeMetricFamily(family.name, family.help, labels=family.labels)
        for family in families_of("installation")
    }
    for name, labels, value in rows:
        metrics[f"outdial_{name}"].add_metric(labels, value)
    return [metric for metric in metrics.values() if metric.samples]
