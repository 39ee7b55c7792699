"""The door to telephone numbers, and all there is for a PBX without rules."""

from producers.numbers.doubts import is_beyond_doubt, refuse_guesses
from producers.numbers.emergency import is_emergency_everywhere, read_unless_emergency, spells_emergency
from producers.numbers.reading import Reading
from producers.numbers.refusals import emergency_refused, masked_text, refused, service_code_refused
from worker.settings import NumberRules

# Strings of more characters hide an emergency number only where a rule puts something in front of them.
_MAY_BE_EMERGENCY = 14
# Shorter ones are extensions and the like, but for those of a country whose whole numbers are as short.
_SURELY_NATIONAL = 7


def dialable(outto: str, rules: NumberRules | None, *, country: str | None = None, home: str | None = None) -> str:
    """
    Return what to dial for a number, fit for `DialJob.outto`.

    Without a rule only punctuation comes out. Given its own result it returns the same again, for a number of a
    known range, as long as there is no `outside_line` (a 9 that is there already cannot be told from the first
    digit of a number) and the prefixes are those of the country. Emergency numbers are refused whatever the rules;
    `producers.numbers.emergency` lists which.

    Args:
        outto: As a CRM or a person wrote it; `grammar` has the forms it may have.
        rules: Those of the PBX; None where it has none.
        country: That of this number if it is written nationally: two or three letters, or a name.
        home: That of numbers that bring no country, two letters; None: that of the rules.

    Raises:
        NumberRefused: If it cannot or must not be dialed; `code` is the reason.
    """
    if rules is None:
        return _without_rules(outto, country, home)
    # The library takes 75 ms to import, which only PBXs with rules need.
    from producers.numbers.plan import read  # noqa: PLC0415

    return read(outto, rules, country=country, home=home).dialed


def reading(
    outto: str, rules: NumberRules | None, *, country: str | None = None, home: str | None = None
) -> Reading:
    """
    Return how a number is understood; arguments, and what is dialed, are those of `dialable`.

    Raises:
        NumberRefused: As `dialable` does.
    """
    if rules is None:
        return Reading(_without_rules(outto, country, home), "as_written")
    from producers.numbers.plan import read  # noqa: PLC0415

    return read(outto, rules, country=country, home=home, in_full=True)


def prepare() -> None:
    """Load everything that numbers and countries need, a tenth of a second or two, before the first one comes."""
    from producers.numbers import countries, plan  # noqa: F401, PLC0415

    countries.prepare()


def _without_rules(outto: str, country: str | None, home: str | None) -> str:
    if not country and is_beyond_doubt(outto):
        if _is_emergency(outto, home):
            raise emergency_refused(outto)
        return outto
    number = read_unless_emergency(outto, lambda keys: _is_emergency(keys, country or home))
    if number.is_code:
        raise service_code_refused(outto)
    refuse_guesses(outto, number)
    if country and country.strip() and not number.digits.startswith(("+", "00")):
        _refuse_other_country(outto, number.digits, country, home)
    return number.digits


def _is_emergency(keys: str, country: str | None) -> bool:
    if is_emergency_everywhere(keys):
        return True
    if not country or len(keys) > _MAY_BE_EMERGENCY:
        return False
    from producers.numbers.countries import known_country  # noqa: PLC0415

    known = known_country(country)
    return known is not None and spells_emergency(keys, countries=[known])


def _refuse_other_country(outto: str, digits: str, country: str, home: str | None) -> None:
    """Refuse a number of another country than those that this PBX dials as they are written."""
    from producers.numbers.countries import NO_COUNTRY, known_country  # noqa: PLC0415

    known, is_long = known_country(country), len(digits) >= _SURELY_NATIONAL
    if known is None and is_long:
        raise refused(outto, f"is written nationally, and {masked_text(country)} {NO_COUNTRY}")
    if known and known != home and (is_long or _is_short_number_of(known, digits)):
        raise refused(
            outto,
            f"is written nationally, as in {known}, and this PBX has no rules for that; "
            "write it with + and country code, or add country to [pbx.NAME.numbers]",
        )


def _is_short_number_of(country: str, digits: str) -> bool:
    from producers.numbers.international import is_valid  # noqa: PLC0415

    return is_valid(digits, country)
