"""The counters and histograms of one process, and nothing of what they mean."""

from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric

from worker.metrics.catalogue import Family, families_of

log = structlog.get_logger()

Note = Callable[[float], None]


class Meters:
    """
    One child for each series that was ever noted, found by one look into a dict: prometheus_client's own way there
    costs more than the rest. Threads share it.

    Values are kept where `prometheus_client.values.ValueClass` keeps them when this is made: in memory, or in the
    files of `worker.metrics.files`.

    Raises:
        OSError: If there are files and they cannot be opened.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics = {
            family.name: _made(family, self._registry)
            for family in families_of("worker", "api", "both")
            if family.type != "gauge"
        }
        self._notes: dict[tuple[str, ...], Note] = {}
        self._told = False

    def note(self, amount: float, *series: str) -> None:
        """
        Add to a counter, or observe seconds in a histogram; raises nothing, for no call ends by its being counted.

        Args:
            amount: What to add, or the seconds.
            series: The metric's name, and the values of its labels in order.
        """
        (self._notes.get(series) or self._noting(series))(amount)

    def collect(self) -> list[Metric]:
        """Return what this process noted."""
        return list(self._registry.collect())

    def _noting(self, series: tuple[str, ...]) -> Note:
        name, *labels = series
        metric = self._metrics[name]
        try:
            child = metric.labels(*labels) if labels else metric
            note: Note = child.observe if isinstance(child, Histogram) else child.inc
        except (OSError, ValueError, RuntimeError) as error:  # the file of the values cannot be opened, or grow
            note = _nothing
            if not self._told:
                log.error("not_counted", metric=name, error=type(error).__name__)
            self._told = True
        self._notes[series] = note
        return note


def _made(family: Family, registry: CollectorRegistry) -> Any:
    # Without help: in files it would stand beside each value, and whoever tells them has the catalogue.
    if family.type == "histogram":
        return Histogram(family.name, "", family.labels, buckets=family.buckets, registry=registry)
    return Counter(family.name, "", family.labels, registry=registry)


def _nothing(_amount: float) -> None:
    """Note nothing."""
