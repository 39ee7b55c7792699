"""The rules of a PBX: which telephone number is meant, whether it may be called, and what is dialed for it."""

import re
from functools import lru_cache

from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberType,
    is_valid_number,
    national_significant_number,
    number_type,
    region_code_for_country_code,
    region_code_for_number,
    region_codes_for_country_code,
)

from producers.numbers import mistakes
from producers.numbers.countries import known_country
from producers.numbers.doubts import form_problem, looks_like_two, refuse_guesses, tail_problem
from producers.numbers.emergency import connects_to_emergency, read_unless_emergency, spells_emergency
from producers.numbers.grammar import Written
from producers.numbers.international import is_valid
from producers.numbers.parsing import Unread, has_tail, is_local, phone_number
from producers.numbers.reading import Reading
from producers.numbers.refusals import COUNTRY, PREMIUM, emergency_refused, refused, service_code_refused
from producers.numbers.writing import (
    begins_with_prefix,
    code_of,
    digits_of,
    e164,
    international_prefix,
    is_of_plan,
    written_for,
)
from worker.settings import NumberRules

_LONGEST_DIALED = 32
# Their plans have a few very long numbers, which let any number with an extension pass.
_WITH_LONG_NUMBERS = (7,)


def read(
    outto: str, rules: NumberRules, *, country: str | None = None, home: str | None = None, in_full: bool = False
) -> Reading:
    """
    Return how a number is understood by a PBX's rules, and what is dialed for it.

    Args:
        outto: As it was written.
        rules: Those of the PBX.
        country: That of this number, where the CRM gives one.
        home: That of numbers that bring no country; None: that of the rules.
        in_full: Find out country, kind and international form too; half as long again.

    Raises:
        NumberRefused: If it cannot or must not be dialed.
    """
    region = known_country(country) or home or rules.country
    countries = {one for one in (rules.country, region) if one}
    number = read_unless_emergency(
        outto, lambda keys: spells_emergency(keys, countries=countries, outside_line=rules.outside_line)
    )
    if number.is_code:
        return _service_code(outto, number, rules)
    if _is_internal(number, rules, country):
        return _internal(outto, number, rules, region)
    meant = phone_number(number, rules, region=region, country=country)
    if isinstance(meant, Unread):
        return _not_understood(outto, number, rules, region, meant)
    _refuse_doubts(outto, number, meant, rules)
    judged = _judged(outto, number.digits, meant, rules, region, in_full=in_full)
    if rules.write == "keep":
        _refuse_another_meaning(outto, number, meant, rules, home)
    return judged


# --- whether it may be called


def _service_code(outto: str, number: Written, rules: NumberRules) -> Reading:
    if rules.service_codes == "refuse":
        raise service_code_refused(outto)
    return Reading(number.digits, "service_code")


def _is_internal(number: Written, rules: NumberRules, country: str | None) -> bool:
    if len(number.digits) > rules.internal_digits or number.is_international:
        return False
    # In some countries the numbers of all subscribers are as short.
    elsewhere = known_country(country)
    return elsewhere in (None, rules.country) or not is_valid(number.digits, elsewhere)


def _internal(outto: str, number: Written, rules: NumberRules, region: str | None) -> Reading:
    if problem := form_problem(number):
        raise refused(outto, problem)
    # The PBX takes the outside line away, and the rest leaves it.
    if rules.outside_line and number.digits.startswith(rules.outside_line):
        _refuse_connecting(outto, number.digits.removeprefix(rules.outside_line), rules, region)
    return Reading(number.digits, "internal")


def _not_understood(
    outto: str, number: Written, rules: NumberRules, region: str | None, unread: Unread
) -> Reading:
    """Leave to the PBX what the rules leave to it, where nothing contradicts that."""
    _refuse_connecting(outto, number.digits, rules, region)
    is_left = rules.write == "keep" or (rules.write == "national" and region is None)
    if rules.strict or not (is_left and unread.may_be_kept):
        raise refused(outto, form_problem(number) or unread.problem)
    if rules.countries is not None:
        raise refused(outto, "is of no known country, and only some may be called; write + and its code", COUNTRY)
    refuse_guesses(outto, number)
    return Reading(_with_line(outto, number.digits, rules), "as_written")


def _refuse_doubts(outto: str, number: Written, meant: PhoneNumber, rules: NumberRules) -> None:
    """Refuse what the numbering plan does not make certain: two numbers, an extension, a (0) where it is kept."""
    if rules.write == "keep":
        refuse_guesses(outto, number)
    if problem := tail_problem(number, digits_of(meant)):
        raise refused(outto, problem)
    code, may_be_two = code_of(meant), looks_like_two(number)
    # Asked last, because it takes as long as all else together.
    if not (may_be_two or code in _WITH_LONG_NUMBERS) or is_valid_number(meant):
        return
    if may_be_two:
        raise refused(outto, mistakes.TWO_NUMBERS)
    if has_tail(number.digits, region_code_for_country_code(code)):
        raise refused(outto, mistakes.TAIL)


def _refuse_another_meaning(
    outto: str, number: Written, meant: PhoneNumber, rules: NumberRules, home: str | None
) -> None:
    """Refuse a number of another country whose digits, dialed as they are, would be a number of the PBX's own."""
    if begins_with_prefix(number.digits, rules):
        return
    if not is_of_plan(meant, rules.country or home):
        country = _country(meant, rules, is_local=False) or "another country"
        raise refused(
            outto,
            f"is of {country}, and this PBX dials numbers as they are written; write it with + and country code",
        )


def _judged(
    outto: str, left: str, number: PhoneNumber, rules: NumberRules, region: str | None, *, in_full: bool
) -> Reading:
    if rules.strict and not is_valid_number(number):
        raise refused(outto, "is of no range known to be in use; look for a slip of the pen")
    if rules.premium == "refuse" and _is_premium(number):
        raise refused(outto, 'is a premium-rate number; set premium = "allow" for the PBX if it is meant', PREMIUM)
    without_area = is_local(number)
    country = _country(number, rules, is_local=without_area) if in_full or rules.countries is not None else None
    if rules.countries is not None and country not in rules.countries:
        raise refused(outto, f"is of {country or 'no known country'}, which this PBX may not call", COUNTRY)
    trunk = left if rules.write == "keep" else written_for(outto, number, rules, is_local=without_area)
    _refuse_connecting(outto, trunk, rules, region, number)
    dialed = _with_line(outto, trunk, rules)
    if not in_full:
        return Reading(dialed, "number")
    if without_area:
        return Reading(dialed, "local", country)
    return Reading(dialed, PhoneNumberType.to_string(number_type(number)).lower(), country, e164(number))


def _is_premium(number: PhoneNumber) -> bool:
    """Tell a premium-rate number, also one with more digits behind it: exchanges connect before they come."""
    pattern = _premium_pattern(code_of(number))
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
    if is_local and is_of_plan(number, rules.country):
        return rules.country
    among = region_codes_for_country_code(code_of(number))
    country = among[0] if len(among) == 1 else region_code_for_number(number)
    return country if country in SUPPORTED_REGIONS else None


def _refuse_connecting(
    outto: str, trunk: str, rules: NumberRules, region: str | None, number: PhoneNumber | None = None
) -> None:
    """Refuse what reaches an emergency service by its first digits, and is no number valid in its country."""
    # Where the PBX does not say where it is, the number does.
    home = rules.country or region
    goes_abroad = trunk.startswith(("+", international_prefix(rules) or "+"))
    with_line = trunk if goes_abroad else rules.outside_line + trunk
    if not any(connects_to_emergency(dialed, home) for dialed in {trunk, with_line}):
        return
    if number is None or not is_valid_number(number):
        raise emergency_refused(outto)


def _with_line(outto: str, trunk: str, rules: NumberRules) -> str:
    dialed = rules.outside_line + trunk
    if len(dialed) > _LONGEST_DIALED:
        raise refused(outto, f"is more than {_LONGEST_DIALED} characters with its prefixes; give one number alone")
    countries = [rules.country] if rules.country else []
    if spells_emergency(trunk, countries=countries, outside_line=rules.outside_line):
        raise emergency_refused(outto)
    return dialed
