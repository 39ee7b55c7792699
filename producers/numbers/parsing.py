"""From digits to a telephone number of a country, or to the reason why there is none without guessing."""

from dataclasses import dataclass

from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    ValidationResult,
    country_code_for_region,
    is_possible_number_with_reason,
    is_valid_number,
    national_significant_number,
    parse,
)

from producers.numbers.countries import NO_COUNTRY, known_country
from producers.numbers.doubts import without_home_zero
from producers.numbers.grammar import Written
from producers.numbers.international import MOST_DIGITS, has_extra_zero, is_possible, is_valid, problem_of
from producers.numbers.refusals import masked_text
from producers.numbers.writing import (
    TrunkUse,
    begins_with_prefix,
    code_of,
    digits_of,
    international_prefix,
    trunk_prefix,
    trunk_use,
)
from worker.settings import NumberRules

_NO_NUMBER = "is not a telephone number; give + and country code, or a number as it is dialed at home"
_NO_COUNTRY_KNOWN = "is written nationally, and its country is not known; write it with + and country code"
_OR_SET = "write it with + and country code, or set plus_missing in [pbx.NAME.numbers]"
_TOO_SHORT = "is too short"
_NORTH_AMERICA = 1
_SHORTEST_AT_HOME, _LONGEST_TAIL = 6, 5
_SIZES = {
    ValidationResult.TOO_SHORT: _TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: _TOO_SHORT,
    ValidationResult.TOO_LONG: "is too long",
}


@dataclass(frozen=True, slots=True)
class Unread:
    """
    A number that cannot be read; `problem` is the end of a sentence.

    `may_be_kept`: the rules may leave it to the PBX as it was written, because nothing contradicts that.
    """

    problem: str
    may_be_kept: bool = False


def phone_number(
    number: Written, rules: NumberRules, *, region: str | None, country: str | None
) -> PhoneNumber | Unread:
    """
    Return which telephone number is meant.

    A possible length will do: new ranges are in use before the library knows them, and the PBX is the judge.

    Args:
        number: As it was written; not a service code.
        rules: Those of the PBX.
        region: The country whose national numbers are meant, two letters; None if that is not known.
        country: What the CRM gave as country.
    """
    digits = number.digits
    if begins_with_prefix(digits, rules):
        return _international_number(number, rules, region)
    if country and country.strip() and not known_country(country):
        return Unread(f"is written nationally, and {masked_text(country)} {NO_COUNTRY}")
    if rules.plus_missing == "international" and _lacks_prefixes(digits, region):
        return parsed(f"+{digits}", None) or _unread(f"+{digits}", None)
    if region is None:
        return Unread(_NO_COUNTRY_KNOWN, may_be_kept=True)
    national = parsed(digits, region)
    found = _with_foreign_prefix(digits, national, region)
    if found is None:
        return _unread(digits, region)
    return _unless_ambiguous(number, found, region, rules) if found is national else found


def parsed(text: str, region: str | None) -> PhoneNumber | None:
    """Return the number of a possible length that the library reads; None if there is none."""
    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    digits = digits_of(number)
    # Italian numbers begin with a 0 that is part of them; elsewhere a second 0 is a mistake.
    if len(digits) > MOST_DIGITS or (number.italian_leading_zero and has_extra_zero(digits)):
        return None
    if _has_trunk_behind_code(text, number, region) and not _may_lose_trunk(number):
        return None
    verdict = is_possible_number_with_reason(number)
    is_local = verdict == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and not text.startswith("+")
    return number if is_local or verdict == ValidationResult.IS_POSSIBLE else None


def _has_trunk_behind_code(text: str, number: PhoneNumber, region: str | None) -> bool:
    code, rest = code_of(number), national_significant_number(number)
    trunk = trunk_prefix(code)
    is_abroad = text.startswith(("+", "00")) or region is None or code != country_code_for_region(region)
    if not trunk or not is_abroad:
        return False
    return rest.startswith(trunk) or text.endswith(f"{code}{trunk}{rest}")


def _may_lose_trunk(number: PhoneNumber) -> bool:
    """
    Return whether the trunk prefix behind a country code, which the library drops, can be nothing else.

    It must leave a number that exists. In North America it never is one: 0011 is how Australia dials abroad.
    """
    return code_of(number) != _NORTH_AMERICA and is_valid_number(number)


def is_local(number: PhoneNumber) -> bool:
    """Return whether a number has no area code."""
    return is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE_LOCAL_ONLY


def _international_number(number: Written, rules: NumberRules, region: str | None) -> PhoneNumber | Unread:
    found = _international(number.digits, rules, region)
    if without_zero := without_home_zero(number):
        # The library drops the 0 where the country has it as trunk prefix, and keeps it elsewhere.
        found = _only_valid_of(found, _international(without_zero, rules, region))
    return found or _unread(number.digits, region)


def _only_valid_of(one: PhoneNumber | None, other: PhoneNumber | None) -> PhoneNumber | None:
    if one == other:
        return one
    valid = [number for number in (one, other) if number and is_valid_number(number)]
    return valid[0] if len(valid) == 1 else None


def _international(digits: str, rules: NumberRules, region: str | None) -> PhoneNumber | None:
    """
    Read a number with + or a prefix.

    What begins with the PBX's own prefix is read so, which makes what was written for it come out the same again,
    unless only the country's way makes a valid number (Brazil has a carrier between 00 and the country code).
    """
    if _are_two_numbers(digits, region):
        return None
    prefix = international_prefix(rules)
    own = None
    if prefix not in ("", "+") and digits.startswith(prefix):
        own = parsed("+" + digits.removeprefix(prefix), None)
    if own is not None and is_valid_number(own):
        return own
    national = parsed(digits, region)
    if own is None:
        return _with_foreign_prefix(digits, national, region)
    return national if national is not None and is_valid_number(national) else own


def _with_foreign_prefix(digits: str, national: PhoneNumber | None, region: str | None) -> PhoneNumber | None:
    """Read 00 as most of the world does, and 011 as North America does, where it is nothing at home."""
    prefix = next((prefix for prefix in ("00", "011") if digits.startswith(prefix)), None)
    if prefix is None or (national and is_valid_number(national)):
        return national
    if _are_two_numbers(digits, region):
        return None
    abroad = parsed("+" + digits.removeprefix(prefix), None)
    is_surely_abroad = prefix == "00" or national is None or (abroad is not None and is_valid_number(abroad))
    return abroad if is_surely_abroad else national


def _are_two_numbers(digits: str, region: str | None) -> bool:
    """Return whether 011 is the beginning of two numbers of a country with an area code 01, and no prefix."""
    if not digits.startswith("011") or region is None or trunk_prefix(country_code_for_region(region)) != "0":
        return False
    lengths = range(_SHORTEST_AT_HOME, len(digits) - _SHORTEST_AT_HOME + 1)
    return any(is_valid(digits[:first], region) and is_valid(digits[first:], region) for first in lengths)


def has_tail(digits: str, region: str | None) -> bool:
    """Return whether digits that are no valid number would be one without the last few, an extension perhaps."""
    shorter = (digits[:-length] for length in range(1, _LONGEST_TAIL + 1))
    return any(len(head) > _SHORTEST_AT_HOME and is_valid(head, region) for head in shorter)


def _lacks_prefixes(digits: str, region: str | None) -> bool:
    """Return whether digits may be a number in E.164 that lost its +, and no other."""
    if digits[0] == "0":
        return False
    trunk = trunk_prefix(country_code_for_region(region)) if region else ""
    return not (trunk and digits.startswith(trunk) and is_valid(digits, region))


def _unless_ambiguous(
    number: Written, found: PhoneNumber, region: str, rules: NumberRules
) -> PhoneNumber | Unread:
    """Return what was found, unless it took a guess: a trunk prefix or a + that may have been lost, or not."""
    digits, code = number.digits, country_code_for_region(region)
    trunk = trunk_prefix(code)
    if (trunk and _is_whole(digits, found, trunk)) or rules.plus_missing == "national" or is_local(found):
        return found
    if digits.startswith(str(code)) and not is_valid_number(found):
        is_doubtful = True
    elif _begins_with_own_code(digits, found, code):
        is_doubtful = is_possible(f"{code}{digits}")
    else:
        is_doubtful = trunk_use(found) is TrunkUse.ALWAYS or _may_be_another(number, found, region)
        is_doubtful |= national_significant_number(found) != digits
    return Unread(_lost(region, trunk)) if is_doubtful else found


def _is_whole(digits: str, found: PhoneNumber, trunk: str) -> bool:
    """Return whether digits begin with the trunk prefix, and not with a country code whose + was lost."""
    if not digits.startswith(trunk):
        return False
    return trunk == "0" or is_valid_number(found) or not is_valid(f"+{digits}", None)


def _begins_with_own_code(digits: str, found: PhoneNumber, code: int) -> bool:
    return digits.startswith(str(code)) and len(national_significant_number(found)) < len(digits)


def _may_be_another(number: Written, found: PhoneNumber, region: str) -> bool:
    """Return whether a number that is whole without trunk prefix may be one that lost its + or its first 0."""
    digits = number.digits
    # Asked first because it is cheap, and no for most numbers.
    if not (is_possible(digits) or is_possible(f"{code_of(found)}0{digits}")):
        return False
    if not is_valid_number(found):
        return is_valid(f"+{digits}", None) or is_valid(f"0{digits}", region)
    # Where the PBX adds a trunk prefix, digits may as well be a list's E.164, unless brackets mark the area code.
    is_added = trunk_use(found) is TrunkUse.OPTIONAL
    return is_added and number.brackets != [0] and is_valid(f"+{digits}", None)


def _lost(region: str, trunk: str) -> str:
    if not trunk:
        return f"may be a number of {region}, or of another country without its +; {_OR_SET}"
    return f"has neither a + nor the {trunk} that numbers of {region} begin with at home; {_OR_SET}"


def _unread(digits: str, region: str | None) -> Unread:
    try:
        verdict = is_possible_number_with_reason(parse(digits, region))
    except NumberParseException:
        return Unread(_NO_NUMBER)
    if verdict == ValidationResult.IS_POSSIBLE:
        return Unread((digits[0] == "+" and problem_of(digits[1:])) or _NO_NUMBER)
    is_abroad = digits.startswith(("+", "00"))
    whose = region if region and not is_abroad else "its country"
    size = _SIZES.get(verdict, "has another length than is possible")
    problem = f"{size} for a number of {whose}; look for missing or extra digits"
    # A short one may be dialed without its area code.
    return Unread(problem, may_be_kept=size == _TOO_SHORT and not is_abroad)
