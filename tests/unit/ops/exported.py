"""Which series there are to be asked for: what outdial exports, what its rules record, what Prometheus adds."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.unit.ops.promql import Selector, groupings, joins, selectors
from worker.metrics import catalogue

PROMETHEUS = Path(__file__).parents[3] / "ops/prometheus"
# Of Prometheus itself: https://prometheus.io/docs/concepts/jobs_instances/ and the page on alerting rules.
_OWN = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate", "severity", "direction"})}
_OF_EVERY_TARGET = frozenset({"instance", "job"})


def exported() -> dict[str, frozenset[str]]:
    """Return the labels of every series that a scrape brings, by name."""
    series = dict(_OWN)
    for family in catalogue().values():
        for name in family.series:
            series[name] = frozenset(family.labels) | ({"le"} if name.endswith("_bucket") else frozenset[str]())
    return {name: labels | _OF_EVERY_TARGET for name, labels in series.items()}


def rules() -> Iterator[dict[str, Any]]:
    """Yield every rule of Prometheus, recording and alerting ones."""
    for file in sorted((PROMETHEUS / "rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def recorded(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the labels of recorded series, which their names begin with: `pbx_state:METRIC:OPERATION`."""
    return {name: frozenset(name.partition(":")[0].split("_")) for name in names}


def misnomers(expression: str, series: Mapping[str, frozenset[str]]) -> list[str]:
    """Return a sentence for every metric of an expression that nothing exports, and every label it has not."""
    return [
        *(sentence for one in selectors(expression) for sentence in _unknown(one, series)),
        *(sentence for by, text in groupings(expression) for sentence in _ungrouped(by, text, series)),
        *_unjoined(expression, series),
    ]


def _unknown(selector: Selector, series: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if selector.metric not in series:
        yield f"nothing exports {selector.metric}"
    elif odd := selector.labels - series[selector.metric]:
        yield f"{selector.metric} has no label {', '.join(sorted(odd))}"


def _ungrouped(labels: frozenset[str], text: str, series: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for selector in selectors(text):
        if odd := labels - series.get(selector.metric, labels):
            yield f"{selector.metric} has no label {', '.join(sorted(odd))} to group by"


def _unjoined(expression: str, series: Mapping[str, frozenset[str]]) -> Iterator[str]:
    everything = frozenset[str]().union(*(series.get(one.metric, frozenset()) for one in selectors(expression)))
    for labels in joins(expression):
        yield from (f"no metric here has the label {label}" for label in labels - everything)


SERIES = exported() | recorded(rule["record"] for rule in rules() if "record" in rule)
