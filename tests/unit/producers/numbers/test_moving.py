"""A number goes from one PBX to another only if it is certain which number is meant."""

import pytest

from producers.numbers import NumberRefused, dialable, number_on
from worker.settings import NumberRules

GB = NumberRules(country="GB")
GB_LINE = NumberRules(country="GB", outside_line="9")
GB_E164 = NumberRules(country="GB", write="e164")
US = NumberRules(country="US")
KEEP = NumberRules(country="GB", write="keep")


@pytest.mark.parametrize(
    ("given", "own", "other", "right"),
    [
        ("020 7946 0018", GB, GB, "02079460018"),
        ("020 7946 0018", GB, GB_LINE, "902079460018"),
        ("020 7946 0018", GB_LINE, GB, "02079460018"),
        ("020 7946 0018", GB_LINE, GB_E164, "+442079460018"),
        ("020 7946 0018", GB, US, "011442079460018"),
        ("+1 202 555 0143", GB, US, "2025550143"),
        ("(202) 555-0143", US, GB, "0012025550143"),
        ("+44 20 7946 0018", GB_E164, GB_LINE, "902079460018"),
        ("1002", GB, GB_LINE, "1002"),
        ("41000", None, None, "41000"),
        ("41000", None, GB, "41000"),
        ("41000", GB, None, "41000"),
        ("+442079460018", None, GB_LINE, "902079460018"),
    ],
)
def test_the_other_pbx_dials_the_same_number_in_its_own_way(
    given: str, own: NumberRules | None, other: NumberRules | None, right: str
) -> None:
    assert number_on(dialable(given, own), own, other) == right


@pytest.mark.parametrize(
    ("dialed", "own", "other", "why"),
    [
        ("02079460018", None, GB, "was written for a PBX without number rules"),
        ("02079460018", GB, None, "would go to a PBX without number rules"),
        ("902079460018", GB, GB_E164, ""),
        ("2079460018", KEEP, GB, ""),
    ],
)
def test_a_number_that_is_not_certain_stays(
    dialed: str, own: NumberRules | None, other: NumberRules | None, why: str
) -> None:
    with pytest.raises(NumberRefused) as refused:
        number_on(dialed, own, other)
    assert why in str(refused.value)
    assert dialed not in str(refused.value)


@pytest.mark.parametrize("other", [GB, GB_LINE.model_copy(update={"premium": "refuse"})])
def test_what_the_rules_forbid_by_now_is_refused(other: NumberRules) -> None:
    allowed = GB.model_copy(update={"premium": "allow"})
    with pytest.raises(NumberRefused) as refused:
        number_on(dialable("+44 909 879 0018", allowed), allowed, other)
    assert refused.value.code == "premium_number"


def test_a_country_that_the_same_pbx_may_not_call_any_more_is_refused() -> None:
    only_home = GB.model_copy(update={"countries": frozenset({"GB"})})
    with pytest.raises(NumberRefused):
        number_on("0012025550143", only_home, only_home)
    assert number_on("02079460018", only_home, only_home) == "02079460018"


def test_an_emergency_number_goes_nowhere() -> None:
    for rules in (None, GB, GB_LINE):
        with pytest.raises(NumberRefused):
            number_on("112", rules, rules)
