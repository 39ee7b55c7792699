"""Origins are taken as browsers send them, because they are compared as they are."""

import pytest
from pydantic import ValidationError

from worker.settings import ApiSettings
from worker.settings.origins import checked_origin, is_protected


@pytest.mark.parametrize(
    "origin",
    ["https://crm.example.com", "https://crm.example.com:8443", "http://127.0.0.1:8069", "http://[::1]:81"],
)
def test_an_origin_as_browsers_send_it_is_taken(origin: str) -> None:
    assert checked_origin(origin) == origin


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("*", "'*' is not one origin; list each by itself, such as https://crm.example.com"),
        ("null", "'null' is not one origin; list each by itself"),
        ("https://*.example.com", "'https://*.example.com' is not one origin"),
        ("https://crm.example.com/", "is not written as browsers send it; expected 'https://crm.example.com'"),
        (
            "https://crm.example.com/app?a#b",
            "is not written as browsers send it; expected 'https://crm.example.com'",
        ),
        ("https://CRM.example.com", "expected 'https://crm.example.com'"),
        ("HTTPS://crm.example.com", "expected 'https://crm.example.com'"),
        ("https://crm.example.com:443", "expected 'https://crm.example.com'"),
        ("http://localhost:80", "expected 'http://localhost'"),
        ("https://bücher.example", "expected 'https://xn--bcher-kva.example'"),
        ("crm.example.com", "'crm.example.com' is not an origin; expected one such as https://crm.example.com"),
        ("//crm.example.com", "is not an origin"),
        ("https://", "is not an origin"),
        ("", "'' is not an origin"),
        ("ftp://crm.example.com", "is not an origin"),
        ("file://", "is not an origin"),
        ("https://user@crm.example.com", "is not an origin"),
        ("https://crm.example.com:99999", "is not an origin"),
        ("https://crm.example.com:x", "is not an origin"),
        ("https://crm..example.com", "is not an origin"),
        ("https://[::1", "is not an origin"),
        ("https://crm.example.com, https://b.example", "is not an origin"),
        (" https://crm.example.com", "is not an origin"),
        ("https://crm.example.com\n", "is not an origin"),
    ],
)
def test_whatever_else_is_refused_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"expected|such as") as wrong:
        checked_origin(text)
    assert sentence in str(wrong.value)


def test_the_setting_is_a_list_and_empty_unless_it_is_given() -> None:
    assert ApiSettings().cors_origins == ()
    given = ["https://crm.example.com", "http://crm.internal", "http://localhost:3000"]
    assert ApiSettings(cors_origins=given).unprotected_origins == ("http://crm.internal",)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="is not a list; give one"):
        ApiSettings(cors_origins="https://crm.example.com")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "origin", ["https://a.example", "http://localhost:1", "http://127.0.0.1", "http://[::1]:2"]
)
def test_pages_by_tls_or_of_this_host_are_protected(origin: str) -> None:
    assert is_protected(origin)


@pytest.mark.parametrize("origin", ["http://a.example", "http://192.168.5.2:8069", "http://localhost.example"])
def test_pages_that_come_in_the_clear_are_not(origin: str) -> None:
    assert not is_protected(origin)
