"""
Which strings must never be dialed by a machine, because they reach an emergency service.

What counts is the string as the PBX dials it. A whole string that spells an emergency number, plain or behind
something that does not change where it goes (outside line, hidden caller id, international prefix, country code),
is refused always: no subscriber has such a number. Digits behind an emergency number are another matter. An
analogue or ISDN line connects as soon as 9-1-1 was dialed, whatever follows, so what leaves the PBX is refused for
its beginning too - unless it is a number valid in its country, because numbering plans give out no number that the
emergency service answers; the six countries whose plans only seem to (AD, FJ, LT, SH, SO, TJ) would lose real
ones. What stays inside is refused as a whole only: 1120 to 1129 are extensions of half the PBXs in Europe.

Source: `ShortNumberInfo` of libphonenumber 9.0.43 for the numbers of each country and those where nothing may
follow (BR, CL, NI); its example numbers, varied at random, for those six countries.
"""

import re
from collections.abc import Callable, Collection
from functools import lru_cache

from producers.numbers.grammar import Written, written
from producers.numbers.plain import keys_of
from producers.numbers.refusals import NumberRefused, emergency_refused

# Mobile networks take 112 and 911 all over the world (3GPP TS 22.101, 10.1.1); 999 is the oldest and widely kept.
_WORLDWIDE = frozenset({"112", "911", "999"})
# In front: a feature code (*67, *31#), and an international prefix with at most a country code, too short together
# to be anybody's number; 011 is also the area code of Turin; and 0 or 9, by which most PBXs take a line outside,
# whether or not the settings say so. Behind: the keys that mean "that was all".
_EVERYWHERE = re.compile(
    r"(?:[*#]{1,2}[0-9]{2,3}[*#]?)?(?:(?:\+|00)[0-9]{0,3}|0111?|[09])?(?:112|911|999)[*#]{0,2}",
)
_FEATURE_CODE = re.compile(r"[*#]{1,2}[0-9]{2,3}[*#]?")
_NORTH_AMERICA = 1

# Digits that hide or show the caller's number and let the rest of the string go on as if they were not there:
# 141 and 1470 (Ofcom), 1831 and 1832 (also in libphonenumber's data for AU), 141 and 142 in Ireland.
_CALLER_ID_CODES = {"GB": ("141", "1470"), "IE": ("141", "142"), "AU": ("1831", "1832")}

# The longest emergency number, the longest of three digits behind a caller id code, and one behind all else.
_LONGEST_NUMBER = 6
_LONGEST_PLAIN = 7
_LONGEST = 24
_HIDING = re.compile(r"[*#+]|00|011")


def read_unless_emergency(outto: str, is_emergency: Callable[[str], bool]) -> Written:
    """
    Return a number as it was written, unless it reaches an emergency service.

    Args:
        outto: As a CRM or a person wrote it.
        is_emergency: Whether a string of 0-9 * # + does so; asked of the keys in *outto* if that is no number.

    Raises:
        NumberRefused: If it does, or is not written as one number.
    """
    try:
        number = written(outto)
    except NumberRefused:
        if is_emergency(keys_of(outto)):
            raise emergency_refused(outto) from None
        raise
    if is_emergency(number.digits):
        raise emergency_refused(outto)
    return number


def is_emergency_everywhere(dialed: str) -> bool:
    """
    Return whether a string of 0-9 * # + spells 112, 911 or 999, whatever the country.

    Needs no data, and costs less than a microsecond.
    """
    return _EVERYWHERE.fullmatch(dialed) is not None


def spells_emergency(dialed: str, *, countries: Collection[str], outside_line: str = "") -> bool:
    """
    Return whether a whole string reaches an emergency service, and nobody else.

    Args:
        dialed: 0-9 * # +, with or without the outside line.
        countries: Where it is dialed, and where whoever wrote it may have meant; two letters each, perhaps none.
        outside_line: What the PBX takes away, or is put in front: 9 and 11 together are 911.
    """
    together = outside_line + dialed
    if outside_line and (together in _WORLDWIDE or any(_is_of(together, country) for country in countries)):
        return True
    forms = {dialed, dialed.removeprefix(outside_line)}
    return any(_may_hide_one(form) and _spells(form, countries) for form in forms)


def connects_to_emergency(dialed: str, country: str | None) -> bool:
    """
    Return whether a string that leaves the PBX begins with an emergency number of a country which takes it so.

    Args:
        dialed: 0-9 and perhaps +, without the outside line.
        country: Where it is dialed, two letters; None is never a yes, for nothing is known of its numbers.
    """
    from phonenumbers import connects_to_emergency_number  # noqa: PLC0415

    if country is None or not ((beginning := _beginning(country)) and beginning.match(dialed)):
        return False
    return connects_to_emergency_number(dialed, country)


@lru_cache(maxsize=64)
def _beginning(country: str) -> re.Pattern[str] | None:
    """Return what emergency numbers of a country look like: one glance instead of 9 us for nearly all numbers."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    data = PhoneMetadata.short_metadata_for_region(country)
    pattern = data.emergency.national_number_pattern if data and data.emergency else None
    return re.compile(pattern) if pattern else None


def _may_hide_one(form: str) -> bool:
    # Nearly all numbers end here, in a fraction of a microsecond.
    return 1 < len(form) <= _LONGEST_PLAIN or (len(form) <= _LONGEST and _HIDING.match(form) is not None)


def _spells(form: str, countries: Collection[str]) -> bool:
    if is_emergency_everywhere(form):
        return True
    plain = _FEATURE_CODE.sub("", form, count=1) if form[0] in "*#" else form
    plain = plain.rstrip("*#")
    return any(_spells_in(country, plain) for country in countries)


def _spells_in(country: str, plain: str) -> bool:
    from phonenumbers import country_code_for_region  # noqa: PLC0415

    prefixes = ("+", "00", "011") if country_code_for_region(country) == _NORTH_AMERICA else ("+", "00")
    abroad = next((plain.removeprefix(prefix) for prefix in prefixes if plain.startswith(prefix)), "")
    forms = [plain, abroad, *(plain.removeprefix(code) for code in _CALLER_ID_CODES.get(country, ()))]
    return any(_is_of(form, country) for form in forms) or _is_of_its_own_country(abroad)


def _is_of_its_own_country(abroad: str) -> bool:
    """Look at 44 999, and at 49 110, dialed from anywhere."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE  # noqa: PLC0415

    if len(abroad) > 3 + _LONGEST_NUMBER:
        return False
    for length in (1, 2, 3):
        code, number = abroad[:length], abroad[length:]
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code.isdecimal() else ()
        if any(_is_of(number, region) for region in regions):
            return True
    return False


def _is_of(dialed: str, country: str) -> bool:
    from phonenumbers import is_emergency_number  # noqa: PLC0415

    # The library looks for digits anywhere in a text; here the text must be digits.
    if not dialed.isdecimal() or len(dialed) > _LONGEST_NUMBER:
        return False
    return dialed in _WORLDWIDE or is_emergency_number(dialed, country)
