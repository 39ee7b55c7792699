"""No number and no secret gets through, and what an operator needs does."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.numbers import sides, written_numbers
from worker.masking import is_secret_name, safe, without_numbers, without_secrets

SINCE, UNTIL = (datetime.fromisoformat(f"{year}-01-01") for year in (2001, 2037))
TOKEN = "48a7d7481a5355aa4fb5dc285edeb40e"
JOB = "6f0e2a0c-7d5b-4f0e-9a57-123456789012"


def digits_of(text: str) -> str:
    """The digits of a text, whatever their script, those of escapes left out."""
    return "".join(str(unicodedata.decimal(char, "")) for char in text)


@given(written_numbers(), sides, sides)
def test_no_number_comes_through_whatever_its_punctuation(
    number: tuple[str, str], before: str, after: str
) -> None:
    written, digits = number
    masked = safe(f"{before}{written}{after}")
    assert written not in masked
    # Of its digits the last two stay; escapes such as %20 or \xa0 bring some of their own.
    assert digits[:-2] not in digits_of(masked)
    for start in range(len(digits) - 6):
        assert digits[start : start + 5] not in digits_of(masked)


@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda job: f"{job}_1_crm"),
        st.datetimes(SINCE, UNTIL).map(lambda at: f"{at.isoformat()}Z"),
        st.datetimes(SINCE, UNTIL, timezones=st.just(UTC)).map(datetime.isoformat),
        st.datetimes(SINCE, UNTIL).map(str),
        st.sampled_from(["2026-13-01T09:00:00Z", "2026-02-32T09:00"]),  # mistyped
        st.tuples(st.integers(1_000_000_000, 1_999_999_999), st.integers(0, 999_999)).map(
            lambda parts: f"{parts[0]}.{parts[1]}"
        ),
        st.ip_addresses(v=4).map(str),
        st.integers(1, 65535).map(lambda port: f"127.0.0.1:{port}"),
        st.floats(0, 100_000).map(lambda seconds: f"{seconds:.3f} s"),
        st.integers(0, 10**15).map(lambda size: f"{size} bytes"),
        st.integers(1, 4_194_304).map(lambda pid: f"dialer2.{pid}@ip-10-0-12-134"),
        st.sampled_from(
            ["10008", "http_503", "30001", "[Errno 111]", "41000", "extension 1002", "0x7f1a2b3c4d5e"]
        ),
    ),
    st.sampled_from(["{}", "at {}", "{}: no reply", "attempt 5 {}", "'{}'", '{{"id":"{}"}}', "x={}&y", "({})"]),
)
def test_ids_times_addresses_and_codes_stay(known: str, sentence: str) -> None:
    assert safe(sentence.format(known)) == sentence.format(known)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"POST https://pbx/api/v1.0.0/login?token={TOKEN} HTTP", "token=*** HTTP"),
        ("access_token=hunter2&x=1", "access_token=***&x=1"),
        ("url='redis://:hunter2@127.0.0.1:6379/0'", "redis://:***@127.0.0.1:6379/0"),
        ("rediss://user:hunter2@host/0", "rediss://user:***@host/0"),
        ("redis://:hunter2/and@hunter2@host/0", "redis://:***@host/0"),
        ("https://hunter2@host/x", "https://***@host/x"),
        ("sentinel://:hunter2@a:1,b:2/0?master=m&sentinel_password=hunter2", "sentinel_password=***"),
        ("sentinel://:hunter2@a:1/0;sentinel://:hunter2@b:2/0", "sentinel://:***@b:2/0"),
        ('{"username":"api","password":"hunter2","port":"8260"}', '"password":"***","port":"8260"'),
        ('{"a":"{\\"token\\": \\"hunter2\\", \\"b\\": 1}"}', '\\"token\\": \\"***\\", \\"b\\": 1'),
        ('{"password":"hun\\"ter2hunter2"}', '{"password":"***"}'),
        ("{'outto': '41000', 'extid': '1002'}", "{'outto': '***', 'extid': '1002'}"),
        ("{'outto': 41000, 'extid': 1002}", "{'outto': ***, 'extid': 1002}"),
        ("Authorization: Bearer hunter2.hunter2", "Authorization: ***"),
        ("{'Authorization': 'Basic aHVudGVyMjpodW50ZXIy'}", "'Authorization': '***'"),
        ("sent Bearer hunter2-hunter2 twice", "Bearer *** twice"),
        ("auth[application_token]=hunter2&x=1", "auth[application_token]=***&x=1"),
        ("auth%5Bapplication_token%5D=hunter2&x=1", "=***&x=1"),
        ("https://b.bitrix24.com/rest/1/hunter2hunter2/telephony.externalcall.finish", "/rest/1/***/telephony"),
        ("POST /hooks/odoo/hunter2 404", "/hooks/odoo/*** 404"),
        ("GET /login?code=hunter2&state=hunter2", "?code=***&state=***"),
        ("secret whsec_aHVudGVyMmh1bnRlcjI= of", "whsec_*** of"),
        ("webhook-signature: v1,hunter2K5CmAiNFrTmBRbOLFqJWmgFaUMjUIzz9ZAbcdefgh=", "webhook-signature: ***"),
        ("key outdial_0123456789ab_hunter2-hunter2_hunter2-hunter2 of", "key outdial_0123456789ab_*** of"),
        ("pat-eu1-12345678-1234-4123-8123-48a7d7481a53", "pat-eu1-***"),
        ("00D5g00000hunter!AQEAQhunter2.hunter2_x", "00D***"),
        ("eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.hunter2", "eyJ***"),
        (f"login answered {TOKEN}, then", "answered ***, then"),
        ("the token aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dhunter2 was", "the token *** was"),
        ("b'password=hunter2'", "password=***"),
        ("call_ended callid=1495710387.333", "callid=1495710387.333"),
        (f"job {JOB} is", f"job {JOB} is"),
    ],
)
def test_secrets_are_known_by_name_place_and_form(line: str, kept: str) -> None:
    masked = safe(line)
    assert kept in masked
    assert not any(secret in masked for secret in ("hunter2", "48a7d748", "aHVudGVy", "41000"))


@pytest.mark.parametrize(
    "name", ["token", "access_token", "client_secret", "Authorization", "X-Api-Key", "outto", "phone"]
)
def test_fields_are_secret_by_their_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens_forgotten", "generation", "key", "errno", "passed", "job_id", "author"])
def test_other_names_are_none(name: str) -> None:
    assert not is_secret_name(name)


@given(st.text())
def test_nothing_breaks_it_and_twice_is_once(text: str) -> None:
    masked = safe(text)
    assert safe(masked) == masked


def test_the_last_two_digits_stay_so_that_two_numbers_can_be_told_apart() -> None:
    assert without_numbers("+1 (202) 555-0143") == "+x (xxx) xxx-xx43"
    assert without_secrets("+1 (202) 555-0143") == "+1 (202) 555-0143"
