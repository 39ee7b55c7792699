"""
What holds for the telephone numbers of a country, whatever a PBX's rules: country code, length, trunk prefix.

Source: the metadata of libphonenumber, loaded when the first number needs them.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberType,
    is_valid_number,
    number_type,
    parse,
)

from producers.numbers import mistakes

_CODES = frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))
# Of country code and number: E.164, section 6.
MOST_DIGITS = 15
# As most of the world dials abroad, and Australia, North America, Japan and Russia; longer ones first.
_PREFIXES = ("0011", "011", "010", "810", "00")
# In Germany and Austria a dash stands before the direct-dialing suffix of a number (DIN 5008), which is part of
# it.
_DIRECT_DIALING = ("49", "43")
# Shorter ones, without country code, are whole numbers in few countries, and in many the beginning of one.
_SHORTEST_NUMBER = 7
# With fewer digits and neither + nor prefix it may be a national number of North America.
_SHORTEST_WITHOUT_PLUS = 11


class _Plan(NamedTuple):
    """Lengths and form of the numbers behind one country code, and the trunk prefix; empty if there is none."""

    lengths: frozenset[int]
    pattern: re.Pattern[str]
    trunk_prefix: str


def problem_of(digits: str) -> str:
    """
    Return why digits behind a + are not a telephone number, as the end of a sentence; empty if nothing is wrong.

    Args:
        digits: Country code and number, 1 to 15 of 0-9.
    """
    code, number = _split(digits)
    if not code:
        return "begins with a country code that is not in use; give + and country code"
    plan = _plan(code)
    if has_extra_zero(digits):
        return mistakes.HOME_PREFIX.format(0)
    if plan.trunk_prefix and number.startswith(plan.trunk_prefix) and not plan.pattern.fullmatch(number):
        return mistakes.HOME_PREFIX.format(plan.trunk_prefix)
    if len(number) in plan.lengths:
        return ""
    size = "short" if len(number) < min(plan.lengths) else "long"
    return f"is too {size} for a number of country code {code}; look for missing or extra digits"


def hides_home_zero(digits: str) -> bool:
    """
    Return whether digits without + have a trunk 0 behind a country code: 004402079460018, 4402079460018.

    Args:
        digits: 1 to 20 of 0-9.
    """
    # The first digit may be an outside line: 9 00 44 20 7946 0018 is no number of Turkey (90).
    return not behind_a_prefix(digits[1:]) and any(map(_has_home_zero, _without_prefixes(digits)))


def fits_abroad(digits: str) -> bool:
    """
    Return whether digits without + may be an international number, perhaps behind a prefix and an outside line.

    Args:
        digits: 1 to 20 of 0-9.
    """
    return bool(behind_a_prefix(digits) or behind_a_prefix(digits[1:]) or is_valid(f"+{digits}"))


def is_valid(text: str, region: str | None = None) -> bool:
    """Return whether *text* is a valid number, written with its + or as it is in *region*."""
    try:
        return is_valid_number(parse(text, region))
    except NumberParseException:
        return False


def is_possible(digits: str) -> bool:
    """Return whether country code and number have a length that numbers of that country have."""
    code, number = _split(digits)
    # Japan's plan has longer ones, which no other country can dial.
    return bool(code) and len(digits) <= MOST_DIGITS and len(number) in _plan(code).lengths


def has_extra_zero(digits: str) -> bool:
    """Return whether the 0 behind a country code does not belong to the number, as it does in Italy."""
    code, number = _split(digits)
    if number[:1] != "0":
        return False
    return not _plan(code).pattern.fullmatch(number) or (
        not is_valid(f"+{digits}") and is_valid(f"+{code}{number[1:]}")
    )


def behind_a_prefix(digits: str) -> str:
    """Return country code and number where an international prefix stands before them; else an empty text."""
    return next((rest for rest in _without_prefixes(digits) if rest != digits and is_possible(rest)), "")


def goes_on_behind_a_number(digits: str, tail: str, *, sure: bool) -> bool:
    """
    Return whether digits are those of a whole number, and a tail that does not belong to it.

    Args:
        digits: Country code and number, with the tail.
        tail: The last few of them.
        sure: Whether the tail stands apart; if not, all digits together must not be a number.
    """
    head = digits.removesuffix(tail)
    code, number = _split(head)
    if len(number) < _SHORTEST_NUMBER or len(number) not in _plan(code).lengths:
        return False
    return is_valid(f"+{head}") and (sure or not is_valid(f"+{digits}"))


def has_suffix(digits: str, tail: str) -> bool:
    """
    Return whether a tail behind a dash is dialed with the number, as the suffix of +49 30 231250-0 is.

    Args:
        digits: Country code and number, with the tail.
        tail: The last few of them.
    """
    if not digits.startswith(_DIRECT_DIALING):
        return False
    head = digits.removesuffix(tail)
    return not is_valid(f"+{head}") or number_type(parse(f"+{head}")) == PhoneNumberType.FIXED_LINE


def _without_prefixes(digits: str) -> Iterator[str]:
    """Yield what is left of digits behind each international prefix, and all of them if they are long enough."""
    for prefix in _PREFIXES:
        if digits.startswith(prefix):
            yield digits.removeprefix(prefix)
    if digits[:1] != "0" and len(digits) >= _SHORTEST_WITHOUT_PLUS:
        yield digits


def _has_home_zero(digits: str) -> bool:
    code, number = _split(digits)
    return has_extra_zero(digits) and len(number) - 1 in _plan(code).lengths


def _split(digits: str) -> tuple[str, str]:
    """Return country code and number; two empty texts where no country has such a code."""
    for length in (1, 2, 3):
        if digits[:length] in _CODES:
            return digits[:length], digits[length:]
    return "", ""


@lru_cache(maxsize=256)
def _plan(code: str) -> _Plan:
    region = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    is_worldwide = region == REGION_CODE_FOR_NON_GEO_ENTITY
    data = (
        PhoneMetadata.metadata_for_nongeo_region(int(code), None)
        if is_worldwide
        else PhoneMetadata.metadata_for_region(region, None)
    )
    assert data is not None, "every country code has its metadata"
    general = data.general_desc
    assert general is not None, "and its general description"
    lengths = frozenset(length for length in general.possible_length if length > 0)
    return _Plan(lengths, re.compile(general.national_number_pattern or ""), data.national_prefix or "")
