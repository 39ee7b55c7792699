"""What stands in the field of a number and is none, or more than one: refused on every PBX, and named."""

import pytest

from producers.numbers import NumberRefused, dialable
from worker.settings import NumberRules

EVERY_PBX = {
    "no rules": None,
    "kept": NumberRules(write="keep"),
    "kept in GB": NumberRules(country="GB", write="keep"),
    "GB": NumberRules(country="GB"),
    "US": NumberRules(country="US"),
    "DE": NumberRules(country="DE"),
    "e164": NumberRules(country="GB", write="e164"),
}


def refusal(outto: str, rules: NumberRules | None, **hints: str) -> NumberRefused:
    with pytest.raises(NumberRefused) as refused:
        dialable(outto, rules, **hints)
    assert len(refused.value.problems) == 1
    assert "7946 0" not in str(refused.value)
    return refused.value


REFUSED_EVERYWHERE = [
    # A spreadsheet made a decimal of it, or cut its digits.
    ("442079460018.0", "is a decimal"),
    ("442079460018.00", "is a decimal"),
    ("442079460018,0", "is a decimal"),
    ("+442079460018.0", "is a decimal"),
    ("020 7946 0018.0", "is a decimal"),
    ("202.555.0143.0", "is a decimal"),
    ("41000.0", "is a decimal"),
    ("46357.375", "is a decimal"),
    ("4.42079E+11", "lost digits in a spreadsheet"),
    ("4,42079E+11", "lost digits in a spreadsheet"),
    ("4.4E+11", "lost digits in a spreadsheet"),
    ("4.4e11", "lost digits in a spreadsheet"),
    ("4.42079E 11", "lost digits in a spreadsheet"),
    ("442079E6", "lost digits in a spreadsheet"),
    ("#N/A", "is an error or a formula"),
    ("#REF!", "is an error or a formula"),
    ("#WERT!", "is an error or a formula"),
    ("#¡VALOR!", "is an error or a formula"),
    ("01.12.2026", "looks like a date"),
    ("1-12-2026", "looks like a date"),
    ("2026-12-01", "looks like a date"),
    ("12/31/2026", "looks like a date"),
    ("442,079,460,018", "has separators of thousands"),
    ("1,234", "has separators of thousands"),
    ("########", "is an error or a formula"),
    ('="02079460018"', "is an error or a formula"),
    ("=020 7946 0018", "is an error or a formula"),
    # Two numbers.
    ("020 7946 0018 / 020 7946 0019", "more than one number"),
    ("020 7946 0018/19", "more than one number"),
    ("030 23125010/22", "more than one number"),
    ("030/23125010/22", "more than one number"),
    ("1002/1003", "more than one number"),
    ("41000/41001", "more than one number"),
    ("41000 / 020 7946 0018", "more than one number"),
    ("020 7946 0018, 020 7946 0019", "more than one number"),
    ("020 7946 0018; 020 7946 0019", "more than one number"),
    ("020 7946 0018\n020 7946 0019", "more than one number"),
    ("41000\r\n41001", "more than one number"),
    ("41000\t41001", "more than one number"),
    ("41000\u202841001", "more than one number"),
    ("020 7946 0018 or 020 7946 0019", "more than one number"),
    ("020 7946 0018 oder 19", "more than one number"),
    ("020 7946 0018 | 020 7946 0019", "more than one number"),
    ("020 7946 0018 & 19", "more than one number"),
    ("020 7946 0018~9", "more than one number"),
    ("020 7946 0018\uff5e9", "more than one number"),
    ("+442079460018+442079460019", "more than one number"),
    ("00+442079460018", "more than one number"),
    ("12+34#", "more than one number"),
    ("41000 41001", "more than one number"),
    ("1002 1003 1004", "more than one number"),
    ("020 7946 0018 020 7946 0019", "too long"),
    ("02079460018-02079460019", "too long"),
    ("1" * 32, "too long"),
    # Extensions.
    ("020 7946 0018 x12", "has an extension"),
    ("020 7946 0018 ext. 12", "has an extension"),
    ("020 7946 0018 EXTN 12", "has an extension"),
    ("020 7946 0018#12", "has an extension"),
    ("+1 202 555 0143*227", "has an extension"),
    ("202 555 0143#12", "has an extension"),
    ("020 7946 0018,12", "has an extension"),
    ("020 7946 0018;12", "has an extension"),
    ("020 7946 0018p12", "has an extension"),
    ("020 7946 0018,,12#", "has an extension"),
    ("020 7946 0018 (12)", "has an extension"),
    ("(202) 555-0143 (227)", "has an extension"),
    ("020 7946 0018 DW 12", "has an extension"),
    ("020 7946 0018 \u0434\u043e\u0431. 12", "has an extension"),
    ("tel:+44-20-7946-0018;ext=12", "has an extension"),
    # What no number has.
    ("0", "no digit but 0"),
    ("0000000", "no digit but 0"),
    ("000 000 000", "no digit but 0"),
    ("+0", "no digit but 0"),
    ("+0442079460018", "no country code begins with 0"),
    ("+(0)44 20 7946 0018", "no country code begins with 0"),
    (" 442079460018", "begins with a blank"),
    ("", "is empty"),
    ("\u00a0\t", "is empty"),
    ("-", "has no digits"),
    ("N/A", "has letters"),
    ("1-800-FLOWERS", "has letters"),
    ("O20 7946 0018", "has letters"),
    ("sip:1002@example.com", "has letters"),
    ("tel:020-7946-0018;isub=1", "has letters"),
    ("020 7946 0018\u00b2", "is not a telephone number"),
    ("++442079460018", "is not a telephone number"),
    ("-442079460018", "is not a telephone number"),
    ("020--7946--0018", "is not a telephone number"),
    ("020_7946_0018", "is not a telephone number"),
    ("%2B442079460018", "has letters"),
    ("* 72", "has * or #"),
    ("1*2", "has an extension"),
]


@pytest.mark.parametrize("pbx", EVERY_PBX)
@pytest.mark.parametrize(("outto", "reason"), REFUSED_EVERYWHERE)
def test_what_is_not_one_number_is_refused_with_its_reason(outto: str, reason: str, pbx: str) -> None:
    refused = refusal(outto, EVERY_PBX[pbx])
    assert refused.code == "invalid_number"
    assert reason in str(refused)


@pytest.mark.parametrize("pbx", ["no rules", "kept", "kept in GB"])
@pytest.mark.parametrize(
    "outto",
    [
        "+44 (0)20 7946 0018",
        "+44 [0] 20 7946 0018",
        "0044 (0)20 7946 0018",
        "00 44 (0) 20 7946 0018",
        "011 44 (0)20 7946 0018",
        "44 (0)20 7946 0018",
        "+44 020 7946 0018",
        "+44 (020) 7946 0018",
        "+4402079460018",
        "00 44 020 7946 0018",
        "004402079460018",
        "01144020 7946 0018",
        "4402079460018",
        "tel:020-7946-0018;phone-context=+44",
    ],
)
def test_a_trunk_zero_behind_a_country_code_is_never_dialed(outto: str, pbx: str) -> None:
    assert "has a 0 behind its country code" in str(refusal(outto, EVERY_PBX[pbx]))
    assert dialable(outto, EVERY_PBX["GB"]) == "02079460018"


@pytest.mark.parametrize(("outto", "prefix"), [("+7 8 495 123 45 67", "8"), ("+1 1 202 555 0143", "1")])
def test_other_trunk_prefixes_are_named_too(outto: str, prefix: str) -> None:
    assert f"has a {prefix} behind its country code" in str(refusal(outto, None))


def test_a_zero_that_belongs_to_the_number_stays() -> None:
    assert dialable("+39 06 1234 5678", None) == "+390612345678"
    assert dialable("+39 (0)6 1234 5678", NumberRules(country="GB")) == "00390612345678"
    # Hong Kong has neither a trunk prefix nor numbers that begin with 0.
    assert dialable("+852 (0)2123 4567", NumberRules(country="GB")) == "0085221234567"
    assert "has a 0 behind its country code" in str(refusal("+852 02123 4567", None))


# --- the last digits behind a dash


@pytest.mark.parametrize("rules", [None, NumberRules(country="GB"), NumberRules(country="GB", write="keep")])
@pytest.mark.parametrize(
    "outto", ["030 231250-0", "020 7946 0018-19", "020 7946 0018 - 227", "020 7946 0018-2271"]
)
def test_digits_behind_a_dash_that_may_be_an_extension_are_refused(outto: str, rules: NumberRules | None) -> None:
    assert str(refusal(outto, rules))


@pytest.mark.parametrize(
    ("outto", "dialed"),
    [
        ("030 231250-0", "0302312500"),
        ("030 231250-22", "03023125022"),
        ("+49 30 231250-0", "0302312500"),
        ("030/231250-0", "0302312500"),
    ],
)
def test_direct_dialing_suffixes_of_germany_are_part_of_the_number(outto: str, dialed: str) -> None:
    assert dialable(outto, NumberRules(country="DE")) == dialed


@pytest.mark.parametrize("outto", ["030 23125010-22", "030 23125010-12", "0171 1234567-8", "+49 171 1234567-0"])
def test_a_range_or_a_mobile_number_has_no_suffix(outto: str) -> None:
    assert "may be an extension or the end of a range" in str(refusal(outto, NumberRules(country="DE")))


@pytest.mark.parametrize(
    "outto", ["(202) 555-0143", "202-555-0143", "1-202-555-0143", "+1 202-555-0143", "202.555.0143"]
)
def test_a_dash_between_groups_of_one_number_is_none_of_that(outto: str) -> None:
    assert dialable(outto, NumberRules(country="US")) == "2025550143"
    assert dialable(outto, None).endswith("2025550143")


def test_more_digits_behind_a_whole_number_are_refused_where_its_length_is_known() -> None:
    for outto in ("+1 202 555 0143 12", "+44 20 7946 0018 19", "+44 20 7946 00"):
        for pbx in ("no rules", "kept", "GB"):
            assert refusal(outto, EVERY_PBX[pbx]).code == "invalid_number"


# --- slashes that part an area code from a number


@pytest.mark.parametrize(
    "outto", ["030/23125010", "030 / 23125010", "(030)/23125010", "0049 30/23125010", "+49 30/23125010"]
)
def test_a_slash_behind_an_area_code_is_punctuation(outto: str) -> None:
    assert dialable(outto, NumberRules(country="DE")) == "03023125010"
    assert dialable("(202)/555-0143", None) == "2025550143"


# --- numbers that lost their + or their first 0


@pytest.mark.parametrize(
    ("outto", "country"),
    [
        ("441632960123", "DE"),
        ("442079460018", "FR"),
        ("2079460018", "GB"),
        ("7911123456", "GB"),
        ("4930231250", "DE"),
        ("493023125010", "DE"),
        ("2025550143", "GB"),
        ("442079460018", "US"),
        ("612345678", "IT"),
        ("442079460018", "ES"),
        ("4930231250", "RU"),
    ],
)
@pytest.mark.parametrize("write", ["national", "international", "e164", "keep"])
def test_a_number_without_plus_and_trunk_prefix_is_refused(outto: str, country: str, write: str) -> None:
    assert refusal(outto, NumberRules(country=country, write=write)).code == "invalid_number"


def test_a_setting_decides_what_the_missing_prefix_was() -> None:
    as_e164 = NumberRules(country="DE", plus_missing="international")
    assert dialable("441632960123", as_e164) == "00441632960123"
    assert dialable("4930231250", as_e164) == "030231250"
    assert dialable("030 231250", as_e164) == "030231250"
    assert dialable("41000", as_e164) == "41000"
    assert dialable("442079460018", NumberRules(plus_missing="international")) == "00442079460018"
    assert dialable("2025550143", NumberRules(country="US", plus_missing="international")) == "011202" + "5550143"
    as_national = NumberRules(country="GB", plus_missing="national")
    assert dialable("2079460018", as_national) == "02079460018"
    assert dialable("7911123456", as_national) == "07911123456"


def test_what_can_only_be_one_number_needs_no_plus() -> None:
    assert dialable("442079460018", NumberRules(country="GB")) == "02079460018"
    assert dialable("33199001234", NumberRules(country="FR")) == "0199001234"
    assert dialable("12025550143", NumberRules(country="US")) == "2025550143"
    assert dialable("2025550143", NumberRules(country="US")) == "2025550143"
    assert dialable("(495) 123-45-67", NumberRules(country="RU")) == "84951234567"
    assert dialable("98765 43210", NumberRules(country="IN")) == "09876543210"


def test_the_refusal_names_the_setting() -> None:
    sentence = str(refusal("441632960123", NumberRules(country="DE")))
    assert "has neither a + nor the 0 that numbers of DE begin with" in sentence
    assert "plus_missing" in sentence


def test_no_digit_of_a_national_number_is_lost() -> None:
    # Nine digits behind the 0: a range that the library does not know.
    assert dialable("030 231 2500", NumberRules(country="GB")) == "0302312500"


# --- service codes


@pytest.mark.parametrize("pbx", EVERY_PBX)
@pytest.mark.parametrize("code", ["*72", "*7241000", "##002#", "#31#", "*#06#", "#0"])
def test_service_codes_are_refused_unless_a_setting_allows_them(code: str, pbx: str) -> None:
    refused = refusal(code, EVERY_PBX[pbx])
    assert refused.code == "service_code"
    assert "service_codes" in str(refused)
    rules = EVERY_PBX[pbx] or NumberRules()
    assert dialable(code, rules.model_copy(update={"service_codes": "allow"})) == code


def test_the_setting_for_service_codes_allows_nothing_else() -> None:
    rules = NumberRules(country="GB", outside_line="9", service_codes="allow")
    assert dialable("*7241000", rules) == "*7241000"
    for outto in ("020 7946 0018*72", "020 7946 0018#", "*72 41000", "1*2", "########"):
        assert refusal(outto, rules).code == "invalid_number"
    assert refusal("*67911", rules).code == "emergency_number"
    assert refusal("#31#112", rules).code == "emergency_number"


# --- where the digits would be another number's

ELSEWHERE = "and this PBX dials numbers as they are written"


@pytest.mark.parametrize("home", [None, "GB"])
@pytest.mark.parametrize(
    ("outto", "country"),
    [("030 231250", "DE"), ("(202) 555-0143", "US"), ("22122", "VU"), ("32 14 48", "Greenland")],
)
def test_a_number_of_another_country_is_not_dialed_as_it_is_written(
    outto: str, country: str, home: str | None
) -> None:
    for rules in (NumberRules(write="keep", country=home), None):
        with pytest.raises(NumberRefused, match=r"as they are written|as in"):
            dialable(outto, rules, country=country, home=home)


def test_numbers_of_the_plan_of_the_pbx_are_kept() -> None:
    keep = NumberRules(write="keep", country="GB")
    assert dialable("01534 440018", keep, country="JE") == "01534440018"
    assert dialable("+49 30 231250", keep, country="DE") == "+4930231250"
    assert dialable("0049 30 231250", keep, country="DE") == "004930231250"
    assert dialable("1002", keep, country="GL") == "1002"


def test_the_prefix_of_another_country_is_not_dialed_as_it_is_written() -> None:
    with pytest.raises(NumberRefused, match=ELSEWHERE):
        dialable("011 65 6123 8217", NumberRules(write="keep", country="GB"))


def test_a_short_number_of_the_country_that_is_given_is_no_extension() -> None:
    rules = NumberRules(country="DE")
    assert dialable("32 14 48", rules, country="GL") == "00299321448"
    assert dialable("1002", rules, country="GL") == "1002"
    assert dialable("32 14 48", NumberRules(country="GL"), country="GL") == "321448"


@pytest.mark.parametrize(
    "outto", ["+1 1 656 123 8217", "+1 1 202 555 0143", "+1 150 843 0864", "+7 8 100 000 00 00"]
)
@pytest.mark.parametrize("rules", [NumberRules(country=country) for country in ("GB", "US", "RU")])
def test_no_digit_is_cut_to_make_a_number_that_does_not_exist(outto: str, rules: NumberRules) -> None:
    with pytest.raises(NumberRefused, match="behind its country code that is dialed at home only"):
        dialable(outto, rules)


def test_the_prefix_of_australia_is_not_the_country_code_of_north_america() -> None:
    for rules in (NumberRules(country="DE"), NumberRules(country="US"), NumberRules(write="keep")):
        with pytest.raises(NumberRefused):
            dialable("0011 239 981 2869", rules)  # Sao Tome from Australia
    assert dialable("0011 239 981 2869", NumberRules(country="AU")) == "00112399812869"


def test_a_country_code_without_plus_is_not_taken_for_the_beginning_of_a_number() -> None:
    # Fiji's numbers have 7 digits, or 11.
    with pytest.raises(NumberRefused, match="dialed at home only"):
        dialable("679 (0) 7012623", NumberRules(country="JP"), country="FJ")


# --- two numbers, and tails, where no plan decides


@pytest.mark.parametrize(
    "outto",
    [
        "101 202",
        "101-202",
        "123456 654321",
        "2001675 6123456",
        "200-1675 200-9193",
        "41000\u200b41001",
        "030 231250-10-20",
        "030-231250-10-20",
        "070-123 49 76-123",
        "01-99-00-12-34-12",
        "08-12 35 84-00",
        "5550143-1234",
        "020 7946 0018 19",
        "2025550143 12",
        "202 555 0143 12",
        "612343236 3236",
        "0199001234 35",
    ],
)
@pytest.mark.parametrize("rules", [None, NumberRules(write="keep")], ids=["no rules", "kept"])
def test_digits_behind_a_whole_number_are_not_joined_to_it(outto: str, rules: NumberRules | None) -> None:
    if rules is None or sum(map(str.isdigit, outto)) > rules.internal_digits:
        with pytest.raises(NumberRefused):
            dialable(outto, rules)


@pytest.mark.parametrize(
    "outto",
    [
        "8 (495) 123-45-67",
        "01.99.00.12.34",
        "01 99 00 12 34",
        "06151 12 34",
        "(11) 91234-5678",
        "138 1234 5678",
        "0151 2345 6789",
        "98765 43210",
        "2123 4567",
        "12 34 56",
        "555-0143",
        "011 44 20 7946 0018",
    ],
)
def test_the_usual_groups_of_one_number_stay_one(outto: str) -> None:
    assert dialable(outto, None) == "".join(filter(str.isdigit, outto))


@pytest.mark.parametrize("outto", ["011234553912374641", "(01) 1234553 912 374 641", "(01) 1234021 (01) 1235807"])
@pytest.mark.parametrize("home", ["GB", "US", "PE", "DE"])
def test_two_numbers_of_an_area_01_are_no_number_abroad(outto: str, home: str) -> None:
    with pytest.raises(NumberRefused):
        dialable(outto, NumberRules(country=home), country="PE")


@pytest.mark.parametrize("outto", ["8 (495) 123-45-67-123", "8 495 123-45-67 123", "+7 495 1234567 123"])
@pytest.mark.parametrize("home", ["GB", "US", "RU"])
def test_an_extension_is_not_part_of_a_long_russian_number(outto: str, home: str) -> None:
    with pytest.raises(NumberRefused):
        dialable(outto, NumberRules(country=home), country="RU")
