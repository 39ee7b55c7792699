"""Numbers, countries, users and ids are found in the forms that CRMs use, and nothing of them is lost."""

from typing import Any

import pytest

from producers.crm.parts.values import (
    LONGEST_TEXT,
    MOST_NUMBERS,
    country_of,
    field_of,
    numbers_of,
    text_of,
    with_extension,
)


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("+1 202 555 0143", ["+1 202 555 0143"]),
        # The blank may be a + that a form lost.
        (" 12025550143", [" 12025550143"]),
        (12025550143, ["12025550143"]),
        # Refused later, for a number with decimals may have lost digits.
        (12025550143.0, ["12025550143.0"]),
        (4.42079e11, ["442079000000.0"]),
        ([{"value": "1"}, {"value": "2", "primary": True}], ["2", "1"]),
        ([{"value": "1"}, {"value": "2", "primary": "true"}], ["2", "1"]),
        ([{"value": "1"}, {"value": "2", "is_primary": 1}], ["2", "1"]),
        ([{"value": "1"}, {"value": "2", "isPrimary": True}], ["2", "1"]),
        ([{"value": "", "primary": True}, {"value": "2"}], ["2"]),
        (["", None, "N/A", "3", "3"], ["N/A", "3"]),
        ({"value": {"number": "4"}}, ["4"]),
        ({"@kind": "work", "#text": "5"}, ["5"]),
        ({"number": "6", "extension": "12"}, ["6 ext. 12"]),
        ({"number": "6", "ext": 12}, ["6 ext. 12"]),
        ({"number": "6", "extension": ""}, ["6"]),
        # A pair of the value before and the value now.
        ({"old": "1", "new": "2"}, ["2"]),
        ({"oldValue": "1", "newValue": "2"}, ["2"]),
        ({"from": "1", "to": "2"}, ["2"]),
        ({"previous_value": "1", "current_value": "2"}, ["2"]),
        ({"before": [{"value": "1"}], "after": [{"value": "2"}, {"value": "3"}]}, ["2", "3"]),
        ({"old": "1", "new": ""}, []),
        ({"old": "1", "new": None}, []),
        ({"value": "2", "previous_value": "1"}, ["2"]),
        (False, []),
        (True, []),
        (None, []),
        ([], []),
        ({}, []),
        ("   ", []),
    ],
)
def test_every_number_is_found_in_its_order(value: Any, numbers: list[str]) -> None:
    assert numbers_of(value) == numbers


def test_a_long_list_is_cut() -> None:
    assert len(numbers_of([str(number) for number in range(1000)])) == MOST_NUMBERS


@pytest.mark.parametrize("name", ["ext", "Extension", "phoneExt", "phone_extension", "extn", "durchwahl", "@ext"])
def test_an_extension_of_any_name_stays_with_its_number(name: str) -> None:
    assert numbers_of({"number": "020 7946 0018", name: 7}) == ["020 7946 0018 ext. 7"]


def test_a_country_belongs_to_the_number_that_it_stands_beside() -> None:
    columns = [
        {"phone": "N/A", "countryShortName": "GB"},
        {"phone": "030 231250", "countryShortName": "DE"},
        "020 7946 0018",
    ]
    assert [getattr(number, "country", None) for number in numbers_of(columns)] == ["GB", "DE", None]


def test_an_extension_stays_with_its_number() -> None:
    assert with_extension("+44 20 7946 0018", "12") == "+44 20 7946 0018 ext. 12"
    assert with_extension("+44 20 7946 0018", None) == "+44 20 7946 0018"
    assert with_extension("", "12") == ""


@pytest.mark.parametrize(
    ("value", "country"),
    [
        ("gb", "gb"),
        (" United Kingdom ", "United Kingdom"),
        ([20, "Belgium"], "Belgium"),
        ({"id": 20, "code": "BE", "name": "Belgium"}, "BE"),
        ({"id": 20, "name": "Belgium"}, "Belgium"),
        ({"old": "FR", "new": "BE"}, "BE"),
        (["GB"], "GB"),
        (["GB", "IE"], '["GB", "IE"]'),
        (20, "20"),
        ("", None),
        (None, None),
        (False, None),
        ({}, None),
    ],
)
def test_a_country_is_kept_as_it_is_written(value: Any, country: str | None) -> None:
    assert country_of(value) == country


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2, "2"),
        (2.0, "2"),
        (2.5, "2.5"),
        (" x ", "x"),
        ([2, "Marc Demo"], "2"),
        (["one"], "one"),
        ([1, 2], None),
        ({"id": 7, "name": "Ada"}, "7"),
        ({"Id": "75df", "LogicalName": "systemuser"}, "75df"),
        ({"old": "7", "new": "8"}, "8"),
        (True, "true"),
        (False, None),
        (None, None),
        ([], None),
    ],
)
def test_users_and_ids_are_found_in_the_forms_that_crms_use(value: Any, text: str | None) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2030-01-01T09:00:00Z", "2030-01-01T09:00:00Z"),
        ({"id": 7}, "7"),
        # Refused where a field is to be one text, and readable as metadata.
        ({"dateTime": "2030-01-01T09:00:00"}, '{"dateTime": "2030-01-01T09:00:00"}'),
        (["a", "b"], '["a", "b"]'),
        ("x" * 501, "x" * (LONGEST_TEXT - 3) + "..."),
        (" ", None),
        (False, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_what_stands_in_a_field_is_never_left_out(value: Any, text: str | None) -> None:
    assert field_of(value) == text
