"""
From a telephone number as a CRM or a person holds it to what a PBX's outbound route wants.

This is the door, and all there is for a PBX without rules; `numbering` knows the rules and the countries.
"""

from dataclasses import dataclass, field

from producers.numbers.emergency import is_emergency_everywhere, spells_emergency
from producers.numbers.grammar import NumberRefused, bare, emergency_refused, refuse_guesses
from worker.settings import NumberRules

__all__ = ["NumberRefused", "Reading", "dialable", "reading"]

# No emergency number hides in a longer string without any rule.
_MAY_BE_EMERGENCY = 14


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How a number was understood.

    `dialed` is what the PBX gets. `kind` is `internal` (an extension or feature code, as it came), `as_written`
    (not understood, as it came), `local` (without area code) or the library's kind of number, such as `mobile`;
    `unknown` is a possible number of no known range. `country` has two letters, None where unknown or none;
    `international` is +, country code and number, None where unknown.
    """

    dialed: str = field(repr=False)
    kind: str
    country: str | None = None
    international: str | None = field(default=None, repr=False)


def dialable(outto: str, rules: NumberRules | None, *, country: str | None = None) -> str:
    """
    Return what to dial for a number, fit for `DialJob.outto`.

    Without a rule only punctuation comes out. Given its own result it returns the same again, for a number of a
    known range, as long as there is no `outside_line` (nobody can tell a 9 that is there already from the first
    digit of a number) and the prefixes are those of the country. Emergency numbers are refused whatever the rules;
    `producers.numbers.emergency` says which.

    Args:
        outto: As a CRM or a person wrote it; at most 100 characters.
        rules: Those of the PBX; None where it has none.
        country: Two letters, that of this number if it is written nationally; None: that of the rules.

    Raises:
        NumberRefused: If it cannot or must not be dialed; `code` says why.
    """
    if rules is None:
        return _unruled(outto, country)
    # The library takes 50 ms to import, for those who have a rule only.
    from producers.numbers.plan import read  # noqa: PLC0415

    return read(outto, rules, country).dialed


def reading(outto: str, rules: NumberRules | None, *, country: str | None = None) -> Reading:
    """
    Return how a number is understood; arguments, and what is dialed, are those of `dialable`.

    Raises:
        NumberRefused: As `dialable` does.
    """
    if rules is None:
        return Reading(_unruled(outto, country), "as_written")
    from producers.numbers.plan import read  # noqa: PLC0415

    return read(outto, rules, country, in_full=True)


def _unruled(outto: str, country: str | None) -> str:
    left = bare(outto)
    if is_emergency_everywhere(left) or (country and _is_emergency_in(country, left)):
        raise emergency_refused(outto)
    refuse_guesses(outto, left)
    return left


def _is_emergency_in(country: str, left: str) -> bool:
    # Who sends long numbers to a PBX without rules must not pay for the data of all countries.
    if len(left) > _MAY_BE_EMERGENCY:
        return False
    from producers.numbers.plan import known_country  # noqa: PLC0415

    known = known_country(country)
    return known is not None and spells_emergency(left, countries=[known])
