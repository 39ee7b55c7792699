"""The catalogue, its documentation and the functions that count agree."""

import re
from pathlib import Path

import pytest

from worker.metrics import Family, catalogue

DOCS = (Path(__file__).parents[4] / "docs/metrics.md").read_text()
ROW = re.compile(r"^\| `(outdial_[a-z_]+)` \| ([a-z]+) \| ([^|]*) \|", re.MULTILINE)


def test_the_documentation_lists_every_metric_with_its_type_and_labels() -> None:
    listed = {name: (kind, tuple(re.findall("`([a-z]+)`", labels))) for name, kind, labels in ROW.findall(DOCS)}
    assert listed == {family.name: (family.type, family.labels) for family in catalogue().values()}


def test_every_query_in_the_documentation_is_about_metrics_that_exist() -> None:
    known = {name for family in catalogue().values() for name in family.series}
    asked = set(re.findall(r"\boutdial_[a-z_]+", DOCS)) - catalogue().keys()
    assert asked <= known


@pytest.mark.parametrize("family", catalogue().values(), ids=lambda family: family.name)
def test_names_follow_the_rules_of_prometheus(family: Family) -> None:
    assert re.fullmatch("outdial_[a-z_]+", family.name)
    assert family.name.endswith("_total") == (family.type == "counter")
    assert bool(family.buckets) == (family.type == "histogram")
    assert family.help.endswith(".")
    # Only numbers below a thousand may stand in a label, see the acceptance test.
    assert max(family.buckets, default=0) < 1000


def test_a_histogram_has_three_series_and_all_others_one() -> None:
    assert catalogue()["outdial_post_seconds"].series == (
        "outdial_post_seconds_bucket",
        "outdial_post_seconds_sum",
        "outdial_post_seconds_count",
    )
    assert catalogue()["outdial_workers"].series == ("outdial_workers",)
