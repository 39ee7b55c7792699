"""What the processes of this host have counted, added up."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from worker.metrics.catalogue import Family
from worker.metrics.meters import Meters
from worker.metrics.reading import Counts, Series


class HostCollector(Collector):
    """
    Tells the counters and histograms of this process and of those that count in a folder.

    A series known beforehand is told as 0 before anything was counted: without that its first event would be no
    increase to Prometheus.

    Args:
        families: What is told, with the help that files lack.
        meters: Of this process.
        folder: Where other processes count; None: there are none.
        names: The values of the labels `pbx` and `endpoint`.
        version: Of the program.
    """

    def __init__(
        self,
        families: Sequence[Family],
        meters: Meters,
        *,
        folder: Path | None,
        names: Mapping[str, Sequence[str]],
        version: str,
    ) -> None:
        self._families = families
        self._meters = meters
        self._counts = Counts(folder) if folder else None
        self._version = version
        # Of each series, whose it is; those known beforehand are here from the beginning.
        self._family_of = {name: family.name for family in families for name in family.series}
        self._firsts = {series: 0.0 for family in families for series in _firsts(family, names)}
        self._one_at_a_time = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without their values."""
        return (_empty(family) for family in self._families)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        with self._one_at_a_time:
            samples = self._samples()
        for family in self._families:
            if family.name == "outdial_build_info":
                info = GaugeMetricFamily(family.name, family.help, labels=family.labels)
                info.add_metric([self._version], 1)
                yield info
            else:
                metric = _empty(family)
                metric.samples = samples[family.name]
                yield metric

    def _samples(self) -> Mapping[str, list[Sample]]:
        values = defaultdict(float, self._firsts)
        for series, value in self._counts.added_up() if self._counts else ():
            values[series] += value
        for metric in self._meters.collect():
            for sample in metric.samples:
                values[sample.name, tuple(sorted(sample.labels.items()))] += sample.value
        samples: dict[str, list[Sample]] = defaultdict(list)
        for (name, labels), value in values.items():
            # Not what prometheus_client makes by itself (`..._created`), nor what another kind of host counts.
            if name in self._family_of:
                samples[self._family_of[name]].append(Sample(name, dict(labels), value))
        return samples


def _firsts(family: Family, names: Mapping[str, Sequence[str]]) -> Iterator[Series]:
    known = {**names, **family.firsts}
    if family.type == "counter":
        for values in product(*(known.get(label, ()) for label in family.labels)):
            yield family.name, tuple(sorted(zip(family.labels, values, strict=True)))


def _empty(family: Family) -> Metric:
    return Metric(family.name.removesuffix("_total"), family.help, family.type)
