"""The section `[pbx.NAME.numbers]`: how telephone numbers are written, and which may be called."""

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from worker.settings.part import Part

# A file may say 9 for "9".
DialPrefix = Annotated[str, Field(coerce_numbers_to_str=True)]


class NumberRules(Part):
    """
    How telephone numbers are written for one PBX, and which of them it may call.

    `country` (ISO 3166, two letters) is that of numbers written nationally. `write` is what is dialed: `national`,
    as one dials at home, and other countries' numbers with `international_prefix`; `international`, all with
    prefix and country code; `e164`, all with + and country code; `keep`, as they came, without punctuation.
    `international_prefix` None is the country's own, or 00. `trunk_prefix` None is what the country writes in
    front of a national number; another one goes in front of all national numbers. `outside_line` goes in front of
    all that leaves the PBX. Strings of up to `internal_digits` digits stay as they are.

    `plus_missing` reads numbers that begin with neither +, nor an international prefix, nor the trunk prefix of
    their country: `refuse` refuses them where that takes a guess, `international` reads them as E.164 without its
    +, `national` as national numbers. `service_codes` lets jobs dial what begins with * or #. `strict` takes
    numbers of ranges known to be in use only, not all of a possible length. `countries` are the only ones that may
    be called; None: all.
    """

    country: str | None = None
    write: Literal["national", "international", "e164", "keep"] = "national"
    international_prefix: DialPrefix | None = None
    trunk_prefix: DialPrefix | None = None
    outside_line: DialPrefix = ""
    internal_digits: Annotated[int, Field(ge=0, le=15)] = 6
    plus_missing: Literal["refuse", "international", "national"] = "refuse"
    service_codes: Literal["refuse", "allow"] = "refuse"
    premium: Literal["refuse", "allow"] = "refuse"
    strict: bool = False
    countries: frozenset[str] | None = None

    @field_validator("country")
    @classmethod
    def _is_a_country(cls, country: str | None) -> str | None:
        return None if country is None else _known_country(country)

    @field_validator("countries")
    @classmethod
    def _are_countries(cls, countries: frozenset[str] | None) -> frozenset[str] | None:
        if countries is None:
            return None
        if not countries:
            raise ValueError("is empty, so that nothing could be called; name countries, or leave it out")
        return frozenset(_known_country(country) for country in countries)

    @field_validator("international_prefix", "trunk_prefix", "outside_line")
    @classmethod
    def _can_be_dialed(cls, prefix: str | None, field: ValidationInfo) -> str | None:
        # 0-9 only in the middle of a number; * and # are feature codes, which some PBXs have before a line.
        allowed, right = _PREFIXES.get(field.field_name or "", (r"[0-9]{0,8}", "up to 8 digits"))
        if prefix is not None and not re.fullmatch(allowed, prefix):
            raise ValueError(f"{prefix!r} is not right; give {right}")
        return prefix


_PREFIXES = {
    "international_prefix": (r"\+|[0-9]{0,8}", "up to 8 digits, or +"),
    "outside_line": (r"[0-9*#]{0,4}", "up to 4 characters of 0-9 * #"),
}


def _known_country(country: str) -> str:
    # Takes 50 ms to import, for those who have such a rule only.
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415

    code = country.strip().upper()
    if code not in SUPPORTED_REGIONS:
        hint = "GB" if code == "UK" else "two letters of ISO 3166, such as GB or US"
        raise ValueError(f"{country!r} is not a country with telephone numbers; give {hint}")
    return code
