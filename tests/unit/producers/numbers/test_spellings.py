"""
A hundred thousand spellings of known numbers: what is dialed has the number's digits, or the spelling is refused.

The numbers are examples of libphonenumber with other last digits, valid by its own judgment; what is right comes
from their clean E.164 form. The generator is seeded, so every run tries the same ones.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from producers.numbers import NumberRefused, dialable
from worker.settings import NumberRules

COUNTRIES = [
    *("AT", "AU", "BE", "BR", "CH", "CI", "CN", "DE", "DK", "ES", "FR", "GB", "HK", "HU", "IE", "IN"),
    *("IS", "IT", "JP", "LT", "MX", "NL", "NO", "PL", "RU", "SE", "TR", "US", "ZA"),
]
WRITINGS = ("national", "international", "e164", "keep")
NUMBERS, SPELLINGS, PAIRS = 1_000, 100_000, 20_000
# Between the digits of one number, and between two numbers.
NOISE = [" ", "-", ".", "\u00a0", "\u2013", "\u200b", "", "", "", ""]
BETWEEN = [
    *(
        " ",
        "  ",
        "/",
        " / ",
        ",",
        ", ",
        ";",
        "; ",
        "\n",
        "\r\n",
        "\t",
        " or ",
        " und ",
        "-",
        " - ",
        "\u2013",
        "+",
        "&",
    ),
    *(
        " | ",
        " and ",
        "\u2028",
        "\\",
        "_",
        ":",
        "//",
        ".",
        "*",
        "#",
        "~",
        "",
        ") (",
        " / or ",
        "\u2022",
        "=",
        ";ext=",
    ),
]
KEEP = NumberRules(write="keep")
RULES = {
    country: [NumberRules(country=country, write=write, premium="allow") for write in WRITINGS]
    for country in COUNTRIES
}
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
FULL_WIDTH = {ord(char): ord(char) + 0xFEE0 for char in "0123456789+()-./"}


class Known:
    """A number, and how it is written in clean forms."""

    def __init__(self, number: PhoneNumber) -> None:
        self.code = str(number.country_code)
        self.country = phonenumbers.region_code_for_country_code(number.country_code)
        self.e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        self.uri = phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
        self.abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        self.at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        self.behind_code = self.abroad.removeprefix(f"+{self.code} ")
        national, whole = phonenumbers.national_significant_number(number), self.e164[1:]
        prefixes = ("", "+", "00", "011", "0011", "810", "010", "000", "119", "009")
        self.right = {*(prefix + whole for prefix in prefixes), national, "8" + national}
        self.right.add(re.sub("[^0-9]", "", self.at_home))


class Generator:
    """Makes numbers and their spellings, the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def numbers(self, count: int) -> Iterator[PhoneNumber]:
        """Yield valid numbers of many countries."""
        while count > 0:
            country = self.chance.choice(COUNTRIES)
            kind = self.chance.choice([PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE])
            example = phonenumbers.example_number_for_type(country, kind) or phonenumbers.example_number(country)
            other = neighbour(example, self.chance.randrange(10 ** self.chance.randint(2, 5)))
            if phonenumbers.is_valid_number(other):
                yield other
                count -= 1

    def spelling(self, known: Known) -> tuple[str, bool]:
        """Return a number as somebody may write it, and whether only those at home understand it."""
        forms = NATIONAL if self.chance.random() < 0.25 else ABROAD
        return self.chance.choice(forms)(known, self.noisy), forms is NATIONAL

    def noisy(self, text: str) -> str:
        """Return text as it is, with other punctuation, or with none."""
        style = self.chance.choice(["as it is", "digits", " ", "-", ".", "mixed"])
        if style == "as it is":
            return text
        if style in (" ", "-", "."):
            return re.sub(r"[ ().-]+", style, text).strip(" -.")
        digits = re.sub("[^0-9+]", "", text)
        if style == "digits":
            return digits
        noise = (char + self.chance.choice(NOISE) for char in digits)
        return "".join(noise).rstrip(" -.\u00a0\u2013")

    def rules(self, known: Known, *, is_national: bool) -> NumberRules | None:
        """Return rules of a PBX; those of the number's own country where others cannot understand it."""
        is_home = is_national or self.chance.random() < 0.5
        home = known.country if is_home else self.chance.choice(COUNTRIES)
        return self.chance.choice([None, KEEP, *RULES[home]])


# How people and programs write a number: from what is known of it, and a function that changes punctuation.
Form = Callable[[Known, Callable[[str], str]], str]
ABROAD: list[Form] = [
    lambda known, _: known.e164,
    lambda known, _: known.uri,
    lambda known, noisy: noisy(known.abroad),
    lambda known, noisy: "00" + noisy(known.abroad[1:]),
    lambda known, noisy: "011 " + noisy(known.abroad[1:]),
    lambda known, _: f"+{known.code} (0){known.behind_code}",
    lambda known, _: f"00{known.code} (0) {known.behind_code}",
    lambda known, noisy: f"(+{known.code}) {noisy(known.behind_code)}",
    lambda known, noisy: f"+{known.code} {noisy(known.at_home)}",
    # Italy's mobile numbers with a 0 in front are other numbers.
    lambda known, noisy: f"+{known.code}{'' if known.code == '39' else '0'}{noisy(known.behind_code)}",
    lambda known, noisy: noisy(known.abroad[1:]),
    lambda known, _: known.abroad.translate(FULL_WIDTH),
]
NATIONAL: list[Form] = [
    lambda known, noisy: noisy(known.at_home),
    lambda known, _: known.at_home.replace(" ", "/", 1),
    lambda known, _: known.at_home.translate(ARABIC),
]


def neighbour(number: PhoneNumber, step: int) -> PhoneNumber:
    """Return a number of the same exchange, if the step is small."""
    return PhoneNumber(
        country_code=number.country_code,
        national_number=number.national_number + step,
        italian_leading_zero=number.italian_leading_zero,
    )


def is_written_like_one_at_home(text: str, rules: NumberRules | None) -> bool:
    """
    Whether digits without + are a whole number at home, such as 47 22 33 44 55 of Norway in North America.

    Only countries without a trunk prefix have such numbers, and nothing is added to them.
    """
    if rules is None or rules.country is None or "+" in text:
        return False
    try:
        at_home = phonenumbers.parse(text, rules.country)
    except phonenumbers.NumberParseException:
        return False
    digits = re.sub("[^0-9]", "", text)
    return digits == phonenumbers.national_significant_number(at_home) and phonenumbers.is_valid_number(at_home)


def test_every_spelling_of_a_number_dials_its_digits_or_is_refused() -> None:
    generator, outcomes = Generator(1), Counter[str]()
    for known in map(Known, generator.numbers(NUMBERS)):
        for _ in range(SPELLINGS // NUMBERS):
            text, is_national = generator.spelling(known)
            rules = generator.rules(known, is_national=is_national)
            try:
                dialed = dialable(text, rules)
            except NumberRefused:
                outcomes["refused"] += 1
                continue
            is_right = dialed in known.right or is_written_like_one_at_home(text, rules)
            assert is_right, (text, rules, known.e164, dialed)
            outcomes["dialed"] += 1
    # Refusing everything would be right as well, and of no use.
    assert outcomes["dialed"] > 0.7 * SPELLINGS, outcomes


def test_no_spelling_of_two_numbers_is_ever_dialed() -> None:
    generator = Generator(2)
    numbers = [(Known(one), Known(neighbour(one, 1))) for one in generator.numbers(NUMBERS)]
    for _ in range(PAIRS):
        first, next_to_it = generator.chance.choice(numbers)
        second = generator.chance.choice([next_to_it, next_to_it, generator.chance.choice(numbers)[0]])
        between = generator.chance.choice(BETWEEN)
        text = between.join(generator.spelling(known)[0] for known in (first, second))
        rules = generator.rules(first, is_national=False)
        with pytest.raises(NumberRefused):
            raise AssertionError((text, rules, dialable(text, rules)))
