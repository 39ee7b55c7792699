"""Numbers: what CRMs hold becomes what the PBX dials, the same each time, and never an emergency number."""

import csv
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata, PhoneNumberFormat, example_number, format_number

from producers.numbers import NumberRefused, dialable, reading
from worker.jobs import DialJob
from worker.settings import NumberRules

GB, US, DE = NumberRules(country="GB"), NumberRules(country="US"), NumberRules(country="DE")
BARE = NumberRules(country="US", write="international", international_prefix="")
WRITINGS = ("national", "international", "e164", "keep")


def code_of(outto: str, rules: NumberRules | None, country: str | None = None) -> str:
    with pytest.raises(NumberRefused) as refused:
        dialable(outto, rules, country=country)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith("outto: ")
    return refused.value.code


# --- what CRMs and people hold


@pytest.mark.parametrize(
    "outto",
    [
        "020 7946 0018",
        "(020) 7946-0018",
        "(0)20 7946 0018",
        "020.7946.0018",
        "020/79460018",
        "(020) 7946 0018.",
        "(+44) 20 7946 0018",
        "+44 [0] 20 7946 0018",
        "+44 020 7946 0018",
        "+4402079460018",
        "44 (0)20 7946 0018",
        "tel:020-7946-0018;phone-context=+44",
        "+44 20 7946 0018",
        "+44 (0)20 7946 0018",
        "00 44 20 7946 0018",
        "0044 (0) 20 7946 0018",
        "011 44 20 7946 0018",
        "442079460018",
        "tel:+44-20-7946-0018",
        "TEL:7946-0018;phone-context=+44-20",
        "tel:020-7946-0018;phone-context=example.com",
        "'02079460018",
        "\u202a+44 20 7946 0018\u202c",
        "020\u00a07946\u202f0018\t\r\n",
        "\uff10\uff12\uff10\uff0d\uff17\uff19\uff14\uff16\uff0d\uff10\uff10\uff11\uff18",
        "\uff0b44\uff0820\uff097946 0018",
        "٠٢٠ ٧٩٤٦ ٠٠١٨",
        "020\u20137946\u20130018",
    ],
)
def test_one_number_written_in_many_ways_is_dialed_in_one(outto: str) -> None:
    assert dialable(outto, GB) == "02079460018"


@pytest.mark.parametrize(
    ("country", "outto", "national", "e164", "international"),
    [
        ("GB", "020 7946 0018", "02079460018", "+442079460018", "00442079460018"),
        ("US", "+1 (202) 555-0143", "2025550143", "+12025550143", "01112025550143"),
        ("US", "1-202-555-0143", "2025550143", "+12025550143", "01112025550143"),
        ("DE", "(030) 231/25012", "03023125012", "+493023125012", "00493023125012"),
        ("FR", "01 99 00 12 34", "0199001234", "+33199001234", "0033199001234"),
        ("IT", "06 1234 5678", "0612345678", "+390612345678", "00390612345678"),
        ("IT", "+39 (0)6 1234 5678", "0612345678", "+390612345678", "00390612345678"),
        ("BR", "0 15 11 91234-5678", "11912345678", "+5511912345678", "005511912345678"),
        ("BR", "0055 11 91234-5678", "11912345678", "+5511912345678", "005511912345678"),
        ("AU", "(02) 5550 1234", "0255501234", "+61255501234", "001161255501234"),
        ("AU", "1300 555 012", "1300555012", "+611300555012", "0011611300555012"),
        ("RU", "8 (495) 123-45-67", "84951234567", "+74951234567", "81074951234567"),
        # Foreign ones, with the prefix of the country, another one's, and with a carrier.
        ("GB", "+1 (202) 555-0143", "0012025550143", "+12025550143", "0012025550143"),
        ("US", "0044 20 7946 0018", "011442079460018", "+442079460018", "011442079460018"),
        ("AU", "0011 44 20 7946 0018", "0011442079460018", "+442079460018", "0011442079460018"),
        ("AU", "00 1 202 555 0143", "001112025550143", "+12025550143", "001112025550143"),
        ("RU", "8 10 44 20 7946 0018", "810442079460018", "+442079460018", "810442079460018"),
        ("RU", "0044 20 7946 0018", "810442079460018", "+442079460018", "810442079460018"),
        ("BR", "00 21 44 20 7946 0018", "00442079460018", "+442079460018", "00442079460018"),
    ],
)
def test_each_country_dials_in_its_own_way(
    country: str, outto: str, national: str, e164: str, international: str
) -> None:
    written = [dialable(outto, NumberRules(country=country, write=write)) for write in WRITINGS[:3]]
    assert written == [national, international, e164]


def test_prefixes_of_the_settings_win_over_those_of_the_country() -> None:
    rules = NumberRules(country="US", trunk_prefix="1", international_prefix="00", outside_line="9")
    assert dialable("(202) 555-0143", rules) == "912025550143"
    assert dialable("+44 20 7946 0018", rules) == "900442079460018"
    assert dialable("+44 20 7946 0018", NumberRules(country="US", international_prefix="+")) == "+442079460018"


def test_the_country_of_the_crm_wins_for_reading_and_the_pbx_s_for_writing() -> None:
    assert dialable("020 7946 0018", US, country="GB") == "011442079460018"
    assert dialable("020 7946 0018", US, country=" uk ") == "011442079460018"
    assert dialable("020 7946 0018", US, country="United Kingdom") == "011442079460018"
    assert dialable("020 7946 0018", US, country="gbr") == "011442079460018"
    assert dialable("020 7946 0018", US, home="GB") == "011442079460018"
    assert dialable("020 7946 0018", NumberRules(country="DE"), country="GB", home="FR") == "00442079460018"
    assert dialable("+44 20 7946 0018", US, country="FR") == "011442079460018"
    assert dialable("020 7946 0018", GB, country="") == "02079460018"
    assert dialable("+44 20 7946 0018", US, country="Neverland") == "011442079460018"
    assert code_of("020 7946 0018", US, "Neverland") == "invalid_number"


@pytest.mark.parametrize("inside", ["41000", "1002", "1120", "1109", "112345", "7", "0701"])
def test_what_stays_inside_stays_as_it_is(inside: str) -> None:
    for write in WRITINGS:
        rules = NumberRules(country="DE", write=write, outside_line="0", countries=frozenset({"DE"}), strict=True)
        assert dialable(inside, rules) == inside


def test_a_number_without_area_code_is_for_the_neighbourhood() -> None:
    assert dialable("555-0143", US) == "5550143"
    assert reading("555-0143", NumberRules(country="US", countries=frozenset({"US"}))).country == "US"
    assert code_of("555-0143", NumberRules(country="US", write="e164")) == "invalid_number"


def test_a_rule_without_a_country_leaves_national_numbers_and_writes_the_others() -> None:
    assert dialable("020 7946 0018", NumberRules(outside_line="0")) == "002079460018"
    assert dialable("+44 20 7946 0018", NumberRules(outside_line="0")) == "000442079460018"
    assert code_of("020 7946 0018", NumberRules(write="e164")) == "invalid_number"
    assert dialable("020 7946 0018", NumberRules(write="e164"), country="GB") == "+442079460018"


def test_kept_numbers_lose_their_punctuation_only_and_are_judged_all_the_same() -> None:
    keep = NumberRules(country="GB", write="keep", outside_line="9")
    assert dialable("+44 20-7946-0018", keep) == "9+442079460018"
    assert dialable("7946 0018", keep) == "979460018"
    assert code_of("+44 (0)20 7946 0018", keep) == "invalid_number"
    assert code_of("2079460018", keep) == "invalid_number"
    assert code_of("0909 879 0123", keep) == "premium_number"


# --- what is not a number


@pytest.mark.parametrize(
    ("outto", "said"),
    [
        ("", "is empty"),
        (" - ", "has no digits"),
        ("020 7946 0018 x12", "has an extension"),
        ("020 7946 0018 ext. 5", "has an extension"),
        ("tel:+442079460018;ext=5", "has an extension"),
        ("020 7946 0018,,12#", "has an extension"),
        ("020 7946 0018 доб. 12", "has an extension"),
        ("020 7946 0018 (office)", "has letters"),
        ("+44 FLOWERS", "has letters"),
        ("sip:1002@example.com", "has letters"),
        ("020 7946", "is not a telephone number"),
        ("+44 20 7946", "is too short for a number of its country"),
        ("020 7946 001800", "is too long for a number of GB"),
        ("+999 123 456 789", "is not a telephone number"),
        ("\ud800", "has no digits"),
        ("0" * 5000, "is too long"),
        ("020 7946 0018;isub=1", "has letters"),
    ],
)
def test_what_is_no_number_is_refused_in_one_sentence_without_it(outto: str, said: str) -> None:
    with pytest.raises(NumberRefused) as refused:
        dialable(outto, GB)
    assert refused.value.code == "invalid_number"
    assert said in str(refused.value)
    assert "7946" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_numbers_in_other_digits_and_over_lines_are_masked_too() -> None:
    with pytest.raises(NumberRefused) as refused:
        dialable("020\n7946\n0018 \uff17\uff19\uff14\uff16 home", GB)
    assert "'xxx xxxx xxxx xx46 home'" in str(refused.value)


def test_a_refusal_survives_another_process() -> None:
    again = pickle.loads(pickle.dumps(NumberRefused(["outto: no"], "premium_number")))
    assert (again.code, again.problems) == ("premium_number", ["outto: no"])


# --- what must not be called


WORLDWIDE = (
    "112 911 999 9-1-1 +112 00112 +1(911) +44-999 0044999 0111911 112# *67911 *31#112 #31#112 tel:112 (9)99"
)


@pytest.mark.parametrize("outto", [*WORLDWIDE.split(), "\uff11\uff11\uff12"])
@pytest.mark.parametrize("rules", [None, NumberRules(), GB, NumberRules(write="keep", outside_line="0")])
def test_emergency_numbers_are_refused_whatever_the_rules(outto: str, rules: NumberRules | None) -> None:
    assert code_of(outto, rules) == "emergency_number"


@pytest.mark.parametrize("outto", ["0112", "0 999", "9911", "9-911#"])
@pytest.mark.parametrize("rules", [None, NumberRules(), GB, NumberRules(outside_line="8")])
def test_emergency_numbers_are_refused_behind_a_line_that_no_rule_names(
    outto: str, rules: NumberRules | None
) -> None:
    assert code_of(outto, rules) == "emergency_number"


def test_emergency_numbers_of_every_country_are_refused_there() -> None:
    seen = 0
    for country in sorted(SUPPORTED_REGIONS):
        data = PhoneMetadata.short_metadata_for_region(country)
        number = data.emergency.example_number if data and data.emergency else None
        for rules in (NumberRules(country=country, outside_line="8"), None) if number else ():
            assert code_of(number, rules, country) == "emergency_number", country
            assert code_of("8" * (rules is not None) + number, rules, country) == "emergency_number", country
            seen += 1
    assert seen > 400


@pytest.mark.parametrize(
    ("outto", "rules"),
    [
        ("110", DE),
        ("+49 110", GB),
        ("0049 110", GB),
        ("141999", GB),
        ("1470 999", GB),
        ("11", NumberRules(country="US", outside_line="9")),
        ("11", NumberRules(country="US", outside_line="9", internal_digits=0)),
        ("9911", NumberRules(country="US", outside_line="9")),
        ("9 112", NumberRules(outside_line="9")),
        ("91123", NumberRules(country="US", outside_line="9")),
        ("911-0143", US),
        ("9115550123", US),
        ("1155501234", NumberRules(country="US", outside_line="9")),
        ("9115550123", NumberRules(country="US", write="keep")),
        ("112345678", NumberRules(country="IT")),
        ("+91 11 9999 999", BARE),
    ],
)
def test_what_would_connect_to_an_emergency_service_is_refused(outto: str, rules: NumberRules) -> None:
    assert code_of(outto, rules) == "emergency_number"


@pytest.mark.parametrize(
    ("outto", "rules", "dialed"),
    [
        # Delhi begins with 911 only where no national number is dialed beside it.
        ("+91 11 2345 6789", BARE, "911123456789"),
        ("+91 11 2345 6789", US, "011911123456789"),
        # Australians take 0 for a line, and 0011 is abroad; together they begin with 000.
        ("0011 64 3 123 4567", NumberRules(country="AU", outside_line="0"), "000116431234567"),
        # Turin is 011, and ends in anything.
        ("011 123112", NumberRules(country="IT"), "011123112"),
        ("011 123112", None, "011123112"),
        # Fire brigades of Brazil, and an area code.
        ("(19) 3234-5678", NumberRules(country="BR"), "1932345678"),
        ("0999 123 4567", GB, "09991234567"),
        # Lithuania's 03 is an ambulance, and the trunk prefix with an area code.
        ("+370 312 34567", NumberRules(country="LT"), "031234567"),
    ],
)
def test_numbers_that_only_look_like_an_emergency_are_dialed(
    outto: str, rules: NumberRules | None, dialed: str
) -> None:
    assert dialable(outto, rules) == dialed


def test_a_pbx_that_does_not_say_where_it_is_is_taken_to_be_where_the_number_is() -> None:
    assert code_of("9115550123", NumberRules(write="keep"), "US") == "emergency_number"
    assert dialable("9115550123", NumberRules(write="keep")) == "9115550123"


def test_premium_rate_numbers_are_refused_unless_allowed_also_with_a_digit_more() -> None:
    for outto, rules in [("0909 879 0123", GB), ("1-900-555-0199", US), ("+979 1 2345 6789", GB)]:
        assert code_of(outto, rules) == "premium_number"
        assert dialable(outto, rules.model_copy(update={"premium": "allow"}))
    assert code_of("0900 1 234567", DE) == code_of("0900 1 23456789", DE) == "premium_number"


def test_only_countries_of_the_list_may_be_called() -> None:
    rules = NumberRules(country="US", countries=frozenset({"US", "CA"}))
    assert dialable("+1 202 555 0143", rules)
    assert code_of("+1 876 555 0123", rules) == "country_not_allowed"
    assert code_of("+44 20 7946 0018", rules) == "country_not_allowed"
    assert code_of("+882 1 2345 6789", rules) == "country_not_allowed"
    assert code_of("020 7946 0018", NumberRules(countries=frozenset({"GB"}))) == "country_not_allowed"


def test_ranges_nobody_knows_are_dialed_unless_rules_are_strict() -> None:
    assert dialable("+1 555 555 0100", GB) == "0015555550100"
    assert code_of("+1 555 555 0100", NumberRules(country="GB", strict=True)) == "invalid_number"


# --- without rules


@pytest.mark.parametrize("plain", ["41000", "02079460018", "+442079460018", "442079460018", "90044207946001"])
def test_without_rules_what_could_be_dialed_stays_as_it_is(plain: str) -> None:
    assert dialable(plain, None) == dialable(plain, None, home="GB") == plain


def test_without_rules_a_number_of_another_country_is_refused() -> None:
    # The PBX would dial 020 7946 0018 wherever it is.
    assert code_of("020 7946 0018", None, "FR") == "invalid_number"
    assert code_of("020 7946 0018", None, "Neverland") == "invalid_number"
    assert dialable("020 7946 0018", None, country="United Kingdom", home="GB") == "02079460018"
    assert dialable("+44 20 7946 0018", None, country="FR") == "+442079460018"
    assert dialable("0044 20 7946 0018", None, country="FR") == "00442079460018"
    assert dialable("41000", None, country="FR") == "41000"


def test_without_rules_punctuation_comes_out_and_nothing_is_guessed() -> None:
    assert dialable("+44 20-7946.0018", None) == "+442079460018"
    assert code_of("+44 (0)20 7946 0018", None) == "invalid_number"
    assert code_of("00 44 20 7946 0018 / 00 44 20 7946 0019", None) == "invalid_number"
    assert reading("41000", None).kind == "as_written"


def test_without_rules_plain_digits_do_not_import_the_library() -> None:
    code = (
        "import sys; from producers.numbers import dialable; from worker.settings import Settings\n"
        "dialable('020 7946 0018', None); dialable('41000', None); print('phonenumbers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- whatever comes

COUNTRIES = ["GB", "US", "DE", "FR", "IT", "BR", "AU", "RU"]
any_rules = st.none() | st.builds(
    NumberRules,
    country=st.none() | st.sampled_from(COUNTRIES),
    write=st.sampled_from(WRITINGS),
    international_prefix=st.sampled_from([None, "", "+", "00", "011"]),
    trunk_prefix=st.sampled_from([None, "", "0", "1"]),
    outside_line=st.sampled_from(["", "0", "9", "*9"]),
    internal_digits=st.integers(0, 8),
    plus_missing=st.sampled_from(["refuse", "international", "national"]),
    service_codes=st.sampled_from(["refuse", "allow"]),
    premium=st.sampled_from(["refuse", "allow"]),
    strict=st.booleans(),
    countries=st.none() | st.just(frozenset({"US", "IT"})),
)
anything = st.text(max_size=40) | st.from_regex(r"(\+|00|0|011|tel:)?[0-9 ()/*#x;.-]{1,22}", fullmatch=True)
places = st.none() | st.sampled_from([*COUNTRIES, "XX", "uk", "\ud800"])


@given(anything, any_rules, places)
def test_nothing_but_a_dialable_number_or_a_refusal_comes_out(
    outto: str, rules: NumberRules | None, country: str | None
) -> None:
    try:
        dialed = dialable(outto, rules, country=country)
    except NumberRefused:
        return
    assert DialJob(extid="1", outto=dialed).outto == dialed
    assert reading(outto, rules, country=country).dialed == dialed
    assert not re.fullmatch("[09]?(112|911|999)", dialed)


@st.composite
def known_numbers(draw: st.DrawFn) -> str:
    """Numbers in use, in most ways of writing them."""
    country = draw(st.sampled_from(COUNTRIES))
    example = example_number(country)
    form = draw(
        st.sampled_from([PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966])
    )
    text = format_number(example, form)
    # Other last digits are of the same range.
    return text[:-2] + draw(st.from_regex("[0-9]{2}", fullmatch=True))


@given(known_numbers(), st.sampled_from(COUNTRIES), st.sampled_from(WRITINGS))
def test_what_was_written_for_the_pbx_comes_out_the_same_again(outto: str, country: str, write: str) -> None:
    rules = NumberRules(country=country, write=write)
    if reading(outto, rules).kind != "unknown":
        dialed = dialable(outto, rules)
        assert dialable(dialed, rules) == dialed


@given(
    known_numbers(), st.none() | st.sampled_from(COUNTRIES), st.sampled_from([" ", "-", ".", "\u00a0", "\u200b"])
)
def test_punctuation_changes_nothing(outto: str, country: str | None, mark: str) -> None:
    rules = NumberRules(country=country) if country else None
    digits = re.sub("[^0-9+]", "", outto)
    # In threes; a shorter last group could be an extension.
    middle = len(digits) - 4
    groups = [digits[:4], *(digits[at : min(at + 3, middle)] for at in range(4, middle, 3)), digits[middle:]]
    assert dialable(mark.join(groups), rules) == dialable(digits, rules)


@pytest.mark.parametrize("outto", ["900442079460018", "912025550101", "000442079460018", "90114420 7946 0018"])
def test_a_pbx_without_rules_gets_what_stands_behind_its_outside_line(outto: str) -> None:
    assert dialable(outto, None) == outto.replace(" ", "")


def test_the_sample_leads_can_be_dialed() -> None:
    with (Path(__file__).parents[4] / "ops" / "sample_leads.csv").open() as leads:
        numbers = [row["outto"] for row in csv.DictReader(leads)]
    assert [dialable(number, None) for number in numbers] == numbers
