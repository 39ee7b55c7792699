"""Countries as CRMs and people write them: two letters, three letters, a name, or a calling code with its +."""

import re
import unicodedata
from functools import cache, lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS

NO_COUNTRY = "is not a country; give two letters, such as GB"

_LONGEST_NAME = 100
_CALLING_CODE = re.compile(r"(?:\+|00) ?([1-9][0-9]{0,2})")
# Names are looked for in English first, and then in the languages that most CRMs are used in.
_LANGUAGES = (("en",), ("de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "tr"))
# Codes and names in use that ISO 3166 and the CLDR do not have, in the form that `_folded` returns; None is a name
# that two countries share.
_ALSO: dict[str, str | None] = {
    "congo": None,
    "korea": None,
    "uk": "GB",
    "greatbritain": "GB",
    "britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northernireland": "GB",
    "grossbritannien": "GB",
    "grandebretagne": "GB",
    "granbretagna": "GB",
    "granbretana": "GB",
    "unitedkingdomofgreatbritainandnorthernireland": "GB",
    "unitedstatesofamerica": "US",
    "us": "US",
    "america": "US",
    "holland": "NL",
    "el": "GR",
    "czechrepublic": "CZ",
    "russianfederation": "RU",
    "republicofireland": "IE",
    "eire": "IE",
    "uae": "AE",
    "korearepublicof": "KR",
    "republicofkorea": "KR",
    "eeuu": "US",
    "brd": "DE",
    "turkey": "TR",
    "hongkong": "HK",
    "macao": "MO",
    "macau": "MO",
    "ivorycoast": "CI",
    "swaziland": "SZ",
    "macedonia": "MK",
    "bosnia": "BA",
    "moldovarepublicof": "MD",
    "iranislamicrepublicof": "IR",
    "taiwanprovinceofchina": "TW",
    "tanzaniaunitedrepublicof": "TZ",
    "venezuelabolivarianrepublicof": "VE",
    "boliviaplurinationalstateof": "BO",
    "syrianarabrepublic": "SY",
    "laopeoplesdemocraticrepublic": "LA",
    "easttimor": "TL",
    "palestinestateof": "PS",
}


@lru_cache(maxsize=1024)
def known_country(country: str | None) -> str | None:
    """
    Return the two letters of a country with telephone numbers; None if none is meant, or it is not understood.

    Args:
        country: As a CRM or a person wrote it: `GB`, `gbr`, `United Kingdom`, `Vereinigtes Königreich`, `+44`.
    """
    text = (country or "").strip()[:_LONGEST_NAME]
    if text.upper() in SUPPORTED_REGIONS:
        return text.upper()
    if calling := _CALLING_CODE.fullmatch(text):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(calling[1]), ("",))
        return regions[0] if regions[0] in SUPPORTED_REGIONS else None
    folded = _folded(text)
    if not folded or folded in _ALSO:
        return _ALSO.get(folded)
    return next((found for languages in _LANGUAGES if (found := _names(languages).get(folded))), None)


def prepare() -> None:
    """Load the names of all countries."""
    for languages in _LANGUAGES:
        _names(languages)


def _folded(name: str) -> str:
    """Return a name without case, accents, blanks and punctuation, and without a leading article."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("&", " and "))
    letters = "".join(char if char.isalnum() else " " for char in plain if not unicodedata.combining(char))
    return "".join(letters.strip().removeprefix("the ").split())


@cache
def _names(languages: tuple[str, ...]) -> dict[str, str]:
    """Return the two letters for each folded name that means one country, and for each code of three letters."""
    # The library takes 10 ms for each language, which two letters never need.
    from babel import Locale  # noqa: PLC0415
    from babel.core import get_global  # noqa: PLC0415

    meant: dict[str, set[str]] = {}
    for language in languages:
        for code, name in Locale(language).territories.items():
            if code in SUPPORTED_REGIONS:
                meant.setdefault(_folded(name), set()).add(code)
    for alias, codes in get_global("territory_aliases").items():
        if len(alias) == 3 and alias.isalpha() and len(codes) == 1 and codes[0] in SUPPORTED_REGIONS:
            meant.setdefault(alias.lower(), set()).add(codes[0])
    return {name: codes.pop() for name, codes in meant.items() if len(codes) == 1}
