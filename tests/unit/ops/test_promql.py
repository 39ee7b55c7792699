"""What the other tests here rely on: names and labels are found in PromQL wherever they stand."""

import pytest

from tests.unit.ops.exported import exported, misnomers, recorded


@pytest.mark.parametrize(
    "expression",
    [
        'sum by (pbx) (rate(outdial_attempts_total{outcome!="placed",errno=~"1.*"}[5m] offset 1h)) > bool 0',
        "histogram_quantile(0.95, sum by (le) (rate(outdial_post_seconds_bucket[5m])))",
        'max(outdial_paused) unless on (pbx) pbx:x:y == 0 or label_replace(vector(0), "pbx", "none", "", "")',
        'sum by (pbx) (outdial_claims_total{instance="a:1"}) / on (pbx) group_left () outdial_paused',
        'count(ALERTS{alertstate="firing"}) or absent(up{job="outdial_nothing"} == 1)',
    ],
)
def test_names_and_labels_that_exist_pass(expression: str) -> None:
    assert misnomers(expression, exported() | recorded(["pbx:x:y"])) == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("sum(rate(outdial_post_total[5m]))", "nothing exports outdial_post_total"),
        ("1 - outdial_post_seconds", "nothing exports outdial_post_seconds"),
        ('outdial_paused{state="1"} > 0', "outdial_paused has no label state"),
        (
            "sum by (pbx, errno) (rate(outdial_claims_total[5m]))",
            "outdial_claims_total has no label errno to group by",
        ),
        ("outdial_paused unless on (priority) outdial_claims_total", "no metric here has the label priority"),
        ("max(pbx:x:z offset 5m)", "nothing exports pbx:x:z"),
    ],
)
def test_names_and_labels_that_do_not_exist_are_found(expression: str, wrong: str) -> None:
    assert misnomers(expression, exported() | recorded(["pbx:x:y"])) == [wrong]
