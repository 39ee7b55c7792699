"""Numbering plans: what a number is, whether a PBX's rules let it be called, and how it is written."""

import re
from functools import lru_cache

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    country_code_for_region,
    format_number,
    is_possible_number_with_reason,
    is_valid_number,
    national_significant_number,
    number_type,
    parse,
    region_code_for_country_code,
    region_code_for_number,
    region_codes_for_country_code,
)

from producers.numbers.door import Reading
from producers.numbers.emergency import connects_to_emergency, spells_emergency
from producers.numbers.grammar import bare, emergency_refused, masked_number, refuse_guesses, refused
from worker.settings import NumberRules

PREMIUM = "premium_number"
COUNTRY = "country_not_allowed"

_LONGEST_DIALED = 32
_NOT_A_DIGIT = re.compile("[^0-9]")
_ALIASES = {"UK": "GB"}
_NO_NUMBER = "is no telephone number; give + country code and number, or one as dialed at home"
_NO_COUNTRY = "is written nationally, and of no known country; write it with + and country code"


def known_country(country: str | None) -> str | None:
    """Return a country as CRMs write it in two capital letters; None if it is none with telephone numbers."""
    code = country.strip().upper() if country else ""
    code = _ALIASES.get(code, code)
    return code if code in SUPPORTED_REGIONS else None


def read(outto: str, rules: NumberRules, country: str | None, *, in_full: bool = False) -> Reading:
    """
    Return how a number is understood by a PBX's rules, and what is dialed for it.

    Args:
        outto: As it was written.
        rules: Those of the PBX.
        country: That of this number, where the CRM says one.
        in_full: Find out country, kind and international form too; half as long again.

    Raises:
        NumberRefused: If it cannot or must not be dialed.
    """
    left = bare(outto)
    region = known_country(country) or rules.country
    countries = {one for one in (rules.country, region) if one}
    if spells_emergency(left, countries=countries, outside_line=rules.outside_line):
        raise emergency_refused(outto)
    if len(left) <= rules.internal_digits and "+" not in left:
        return _internal(outto, left, rules, region)
    if rules.write == "keep":
        refuse_guesses(outto, left)
    problem = _not_readable(left, rules, region, country)
    number = None if problem else _understood(left, rules, region)
    if number is None:
        return _not_understood(outto, left, rules, region, problem or _what_is_wrong(left, region))
    return _judged(outto, left, number, rules, region, in_full=in_full)


# --- what it is


def _not_readable(left: str, rules: NumberRules, region: str | None, country: str | None) -> str | None:
    """Return why there is no need to try, None where there is."""
    if "*" in left or "#" in left:
        return f"has * or # among more than {rules.internal_digits} characters; give a telephone number"
    if left.startswith(("+", "00", _international_prefix(rules) or "+")):
        return None
    if country and country.strip() and not known_country(country):
        return f"is written nationally, and {masked_number(country)} is no country; give two letters, such as GB"
    return None if region else _NO_COUNTRY


def _understood(left: str, rules: NumberRules, region: str | None) -> PhoneNumber | None:
    """
    Return the number, None if no number can be that.

    A possible length will do: new ranges are in use before the data know them, and the PBX is the judge. What
    begins with the PBX's own prefix is read so, which makes what was written for it come out the same again,
    unless only the country's way makes a valid number (Brazil has a carrier between 00 and the country code).
    """
    prefix = _international_prefix(rules)
    own = None
    if prefix not in ("", "+") and left.startswith(prefix):
        own = _parsed("+" + left.removeprefix(prefix), None)
    if own is not None and is_valid_number(own):
        return own
    national = _parsed(left, region)
    if own is None:
        return _with_foreign_prefix(left, national) or national
    return national if national is not None and is_valid_number(national) else own


def _with_foreign_prefix(left: str, national: PhoneNumber | None) -> PhoneNumber | None:
    """Read 00 as most of the world does, and 011 as North America does, where it is nothing at home."""
    if left.startswith("00") and not (national and is_valid_number(national)):
        return _parsed("+" + left[2:], None)
    if left.startswith("011") and not national:
        return _parsed("+" + left[3:], None)
    return None


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    if number.italian_leading_zero and _has_trunk_prefix(_code(number)) and not is_valid_number(number):
        return None
    verdict = is_possible_number_with_reason(number)
    is_local = verdict == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and not text.startswith("+")
    return number if is_local or verdict == ValidationResult.IS_POSSIBLE else None


@lru_cache(maxsize=256)
def _has_trunk_prefix(code: int) -> bool:
    """Tell countries where a number that still begins with 0 is one with digits missing; Italy is none of them."""
    data = PhoneMetadata.metadata_for_region(region_code_for_country_code(code), None)
    return bool(data and data.national_prefix)


def _what_is_wrong(left: str, region: str | None) -> str:
    try:
        verdict = is_possible_number_with_reason(parse(left, region))
    except NumberParseException:
        return _NO_NUMBER
    if verdict == ValidationResult.IS_POSSIBLE:
        return _NO_NUMBER
    short, long = "is too short", "is too long"
    local = ValidationResult.IS_POSSIBLE_LOCAL_ONLY
    words = {ValidationResult.TOO_SHORT: short, local: short, ValidationResult.TOO_LONG: long}
    whose = region if region and not left.startswith("+") else "its country"
    return f"{words.get(verdict, 'has not the length')} for a number of {whose}; look for missing or extra digits"


# --- whether it may be called


def _internal(outto: str, left: str, rules: NumberRules, region: str | None) -> Reading:
    # The PBX takes the outside line away, and the rest leaves it.
    if rules.outside_line and left.startswith(rules.outside_line):
        _refuse_connecting(outto, left.removeprefix(rules.outside_line), rules, region)
    return Reading(left, "internal")


def _not_understood(outto: str, left: str, rules: NumberRules, region: str | None, problem: str) -> Reading:
    """Leave to the PBX what nobody understands, where the rules leave it at that."""
    is_left = rules.write == "keep" or (rules.write == "national" and problem == _NO_COUNTRY)
    if rules.strict or not is_left:
        raise refused(outto, problem)
    if rules.countries is not None:
        raise refused(outto, "is of no known country, and only some may be called; write + and its code", COUNTRY)
    refuse_guesses(outto, left)
    _refuse_connecting(outto, left, rules, region)
    # Feature codes are for the PBX itself.
    return Reading(left if left[0] in "*#" else _with_line(outto, left, rules), "as_written")


def _judged(
    outto: str, left: str, number: PhoneNumber, rules: NumberRules, region: str | None, *, in_full: bool
) -> Reading:
    if rules.strict and not is_valid_number(number):
        raise refused(outto, "is of no range known to be in use; look for a slip of the pen")
    if rules.premium == "refuse" and _is_premium(number):
        raise refused(outto, 'is a premium-rate number; set premium = "allow" for the PBX if it is meant', PREMIUM)
    is_local = _is_local(number)
    country = _country(number, rules, is_local=is_local) if in_full or rules.countries is not None else None
    if rules.countries is not None and country not in rules.countries:
        raise refused(outto, f"is of {country or 'no known country'}, which this PBX may not call", COUNTRY)
    trunk = left if rules.write == "keep" else _written(outto, number, rules, is_local=is_local)
    _refuse_connecting(outto, trunk, rules, region, number)
    dialed = _with_line(outto, trunk, rules)
    if not in_full:
        return Reading(dialed, "number")
    if is_local:
        return Reading(dialed, "local", country)
    return Reading(dialed, PhoneNumberType.to_string(number_type(number)).lower(), country, _e164(number))


def _code(number: PhoneNumber) -> int:
    assert number.country_code is not None, "every number parsed has one"
    return number.country_code


def _is_premium(number: PhoneNumber) -> bool:
    """Tell a premium-rate number, also one with more digits behind it: exchanges connect before they come."""
    pattern = _premium_pattern(_code(number))
    if not pattern or not pattern.match(national_significant_number(number)):
        return False
    return number_type(number) in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.UNKNOWN)


@lru_cache(maxsize=256)
def _premium_pattern(code: int) -> re.Pattern[str] | None:
    """Return what premium-rate numbers of a country code begin with; six times faster than asking for the kind."""
    regions = region_codes_for_country_code(code)
    known = [PhoneMetadata.metadata_for_region(region, None) for region in regions if region in SUPPORTED_REGIONS]
    data = [PhoneMetadata.metadata_for_nongeo_region(code, None), *known]
    kinds = [one.premium_rate for one in data if one and one.premium_rate]
    patterns = {kind.national_number_pattern for kind in kinds if kind.national_number_pattern}
    return re.compile("|".join(f"(?:{pattern})" for pattern in sorted(patterns))) if patterns else None


def _country(number: PhoneNumber, rules: NumberRules, *, is_local: bool) -> str | None:
    """Return the country of a number; where several share a code, None for a number of no known range."""
    if is_local and _is_of_plan(number, rules.country):
        return rules.country
    among = region_codes_for_country_code(_code(number))
    country = among[0] if len(among) == 1 else region_code_for_number(number)
    return country if country in SUPPORTED_REGIONS else None


def _is_of_plan(number: PhoneNumber, country: str | None) -> bool:
    return country is not None and _code(number) == country_code_for_region(country)


def _is_local(number: PhoneNumber) -> bool:
    return is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE_LOCAL_ONLY


def _refuse_connecting(
    outto: str, trunk: str, rules: NumberRules, region: str | None, number: PhoneNumber | None = None
) -> None:
    """Refuse what reaches an emergency service by its first digits, and is no number valid in its country."""
    # Where the PBX does not say where it is, the number does.
    home = rules.country or region
    goes_abroad = trunk.startswith(("+", _international_prefix(rules) or "+"))
    with_line = trunk if goes_abroad else rules.outside_line + trunk
    if not any(connects_to_emergency(dialed, home) for dialed in {trunk, with_line}):
        return
    if number is None or not is_valid_number(number):
        raise emergency_refused(outto)


# --- how it is written


def _written(outto: str, number: PhoneNumber, rules: NumberRules, *, is_local: bool) -> str:
    is_home = _is_of_plan(number, rules.country)
    if is_local:
        if is_home and rules.write == "national":
            return national_significant_number(number)
        raise refused(outto, "has no area code; write it with one")
    if rules.write == "e164":
        return _e164(number)
    if rules.write == "national" and is_home:
        return _national(number, rules)
    return f"{_international_prefix(rules)}{number.country_code}{national_significant_number(number)}"


def _e164(number: PhoneNumber) -> str:
    return format_number(number, PhoneNumberFormat.E164)


def _national(number: PhoneNumber, rules: NumberRules) -> str:
    if rules.trunk_prefix is not None:
        return rules.trunk_prefix + national_significant_number(number)
    # Not every number has the trunk prefix: Australia's 1300 numbers, say.
    return _NOT_A_DIGIT.sub("", format_number(number, PhoneNumberFormat.NATIONAL))


def _with_line(outto: str, trunk: str, rules: NumberRules) -> str:
    dialed = rules.outside_line + trunk
    if len(dialed) > _LONGEST_DIALED:
        raise refused(outto, f"is more than {_LONGEST_DIALED} characters with its prefixes; give one number alone")
    countries = [rules.country] if rules.country else []
    if spells_emergency(trunk, countries=countries, outside_line=rules.outside_line):
        raise emergency_refused(outto)
    return dialed


@lru_cache(maxsize=64)
def _own_international_prefix(country: str) -> str:
    data = PhoneMetadata.metadata_for_region(country)
    prefix = (data.preferred_international_prefix or data.international_prefix or "") if data else ""
    # 8~10 means to wait for a tone, which a PBX does by itself. A pattern stands for a choice of carriers.
    plain = prefix.replace("~", "")
    return plain if plain.isdecimal() else "00"


def _international_prefix(rules: NumberRules) -> str:
    if rules.international_prefix is not None:
        return rules.international_prefix
    return _own_international_prefix(rules.country) if rules.country else "00"
