"""Numbers are written at home as the library of telephone numbers writes them, digit for digit."""

import re
from random import Random

import pytest
from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    national_significant_number,
    parse,
)

from producers.numbers.writing import code_of, trunk_prefix, written_for
from worker.settings import NumberRules

VARIED = 5


def numbers_of(region: str) -> list[PhoneNumber]:
    """Return an example of each kind of number of a region, and others that begin like it."""
    chance, found = Random(region), []
    for kind in PhoneNumberType.values():
        example = example_number_for_type(region, kind)
        if example is None:
            continue
        found.append(example)
        digits = national_significant_number(example)
        for _ in range(VARIED):
            kept = chance.randrange(1, len(digits))
            other = digits[:kept] + "".join(chance.choices("0123456789", k=len(digits) - kept))
            try:
                found.append(parse(f"+{example.country_code}{other}"))
            except NumberParseException:
                continue
    return found


@pytest.mark.parametrize("region", sorted(SUPPORTED_REGIONS))
def test_a_number_has_the_digits_that_the_library_writes(region: str) -> None:
    rules = NumberRules(country=region)
    numbers = numbers_of(region)
    assert len(numbers) > VARIED
    for number in numbers:
        by_library = format_number(number, PhoneNumberFormat.NATIONAL)
        digits = re.sub("[^0-9]", "", by_library)
        # What the library leaves in one piece may be of a range that it does not know.
        unknown = {trunk_prefix(code_of(number)) + digits} if by_library.isdecimal() else set()
        assert written_for("", number, rules, is_local=False) in {digits} | unknown
