"""How a telephone number is written for the outbound route of a PBX."""

import re
from enum import Enum
from functools import lru_cache

from phonenumbers import (
    NumberFormat,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    country_code_for_region,
    format_number,
    national_significant_number,
    region_code_for_country_code,
)

from producers.numbers.refusals import refused
from worker.settings import NumberRules

_NOT_A_DIGIT = re.compile("[^0-9]")
# In a style of the library: the place of a group, and a pattern whose digits all stand in groups.
_PLACE = re.compile(r"\\([0-9])")
_ALL_IN_GROUPS = re.compile(r"(?:\((?:[^()]|\(\?:[^()]*\))*\))+")


def written_for(outto: str, number: PhoneNumber, rules: NumberRules, *, is_local: bool) -> str:
    """
    Return what the rules of a PBX make of a number, without the outside line.

    Args:
        outto: As it was written.
        number: What was understood.
        rules: Those of the PBX; `write` is not `keep`.
        is_local: Whether it has no area code.

    Raises:
        NumberRefused: If it lacks the area code that this way of writing needs.
    """
    is_home = is_of_plan(number, rules.country)
    if is_local:
        if is_home and rules.write == "national":
            return national_significant_number(number)
        raise refused(outto, "has no area code; write it with one")
    if rules.write == "e164":
        return e164(number)
    if rules.write == "national" and is_home:
        return _national(number, rules)
    return f"{international_prefix(rules)}{number.country_code}{national_significant_number(number)}"


def e164(number: PhoneNumber) -> str:
    """Return +, country code and number."""
    return f"+{digits_of(number)}"


def digits_of(number: PhoneNumber) -> str:
    """Return country code and number."""
    return f"{number.country_code}{national_significant_number(number)}"


def code_of(number: PhoneNumber) -> int:
    """Return the country code of a number, such as 44."""
    assert number.country_code is not None, "every number parsed has one"
    return number.country_code


def is_of_plan(number: PhoneNumber, country: str | None) -> bool:
    """Return whether a number belongs to the numbering plan of a country; None is no country."""
    return country is not None and code_of(number) == country_code_for_region(country)


def international_prefix(rules: NumberRules) -> str:
    """Return what a PBX dials for the +."""
    if rules.international_prefix is not None:
        return rules.international_prefix
    return _own_international_prefix(rules.country) if rules.country else "00"


def begins_with_prefix(digits: str, rules: NumberRules) -> bool:
    """Return whether digits are written internationally: with a +, with 00, or as the PBX dials abroad."""
    return digits.startswith(("+", "00", international_prefix(rules) or "+"))


class TrunkUse(Enum):
    """Whether a number is written nationally with the trunk prefix of its country."""

    NEVER = "never"  # there is none, or not for this number: Italy, Brazil, Australia's 1300
    OPTIONAL = "optional"  # India's 0, Russia's 8
    ALWAYS = "always"  # the 0 of Britain, Germany, France


def trunk_use(number: PhoneNumber) -> TrunkUse:
    """Return whether a number is written nationally with its trunk prefix."""
    trunk, style = trunk_prefix(code_of(number)), _national_style(number)
    if not trunk:
        return TrunkUse.NEVER
    if style is None:
        return TrunkUse.ALWAYS
    if trunk not in (style.national_prefix_formatting_rule or ""):
        return TrunkUse.NEVER
    return TrunkUse.OPTIONAL if style.national_prefix_optional_when_formatting else TrunkUse.ALWAYS


@lru_cache(maxsize=256)
def trunk_prefix(code: int) -> str:
    """Return what is dialed at home before the numbers of a country code, such as 0; empty where it is nothing."""
    data = _metadata(code)
    return (data.national_prefix or "") if data else ""


def _national(number: PhoneNumber, rules: NumberRules) -> str:
    if rules.trunk_prefix is not None:
        return rules.trunk_prefix + national_significant_number(number)
    style = _national_style(number)
    if style is None:
        # A range that the library does not know is written as the others of its country.
        return trunk_prefix(code_of(number)) + national_significant_number(number)
    # Not every number has the trunk prefix: Australia's 1300 numbers have none.
    prefix = _prefix_of(style.pattern or "", style.format or "", style.national_prefix_formatting_rule or "")
    if prefix is not None:
        return prefix + national_significant_number(number)
    return _digits_in(format_number(number, PhoneNumberFormat.NATIONAL))


@lru_cache(maxsize=1024)
def _prefix_of(pattern: str, layout: str, rule: str) -> str | None:
    r"""
    Return what a style writes before the digits of a number; None if it does more than group them.

    To have the library write each number costs a fifth of all that is done with it.

    Args:
        pattern: Which numbers have the style; each pair of brackets is a group of their digits.
        layout: Where the groups go, such as `\1 \2`.
        rule: What stands in the place of the first group, such as `0\1`; empty if it is the group alone.
    """
    places = [int(place) for place in _PLACE.findall(layout)]
    is_in_order = places == list(range(1, _compiled(pattern).groups + 1))
    adds_digits = bool(_digits_in(_without_places(layout)))
    if adds_digits or not (is_in_order and _ALL_IN_GROUPS.fullmatch(pattern)):
        return None
    return _digits_in(_without_places(rule))


def _without_places(text: str) -> str:
    return _PLACE.sub("", text)


def _digits_in(text: str) -> str:
    return _NOT_A_DIGIT.sub("", text)


def _national_style(number: PhoneNumber) -> NumberFormat | None:
    """Return how the library writes a number at home; None if it knows no way."""
    data = _metadata(code_of(number))
    digits = national_significant_number(number)
    return next((style for style in (data.number_format if data else ()) if _is_style_of(style, digits)), None)


def _is_style_of(style: NumberFormat, digits: str) -> bool:
    leading = style.leading_digits_pattern
    return (not leading or _compiled(leading[-1]).match(digits) is not None) and (
        _compiled(style.pattern or "").fullmatch(digits) is not None
    )


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _metadata(code: int) -> PhoneMetadata | None:
    region = region_code_for_country_code(code)
    return PhoneMetadata.metadata_for_region(region, None)


@lru_cache(maxsize=64)
def _own_international_prefix(country: str) -> str:
    data = PhoneMetadata.metadata_for_region(country)
    prefix = (data.preferred_international_prefix or data.international_prefix or "") if data else ""
    # 8~10 means to wait for a tone, which a PBX does by itself. A pattern stands for a choice of carriers.
    plain = prefix.replace("~", "")
    return plain if plain.isdecimal() else "00"
