"""Bodies: what they hold, and that hostile ones are refused with a sentence that quotes nothing."""

import contextlib
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.crm.base import BadPayload, Delivery
from producers.crm.parts.bodies import MAX_BYTES, MAX_DEPTH, Format, body_of, form_body, json_body, xml_body

MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="phone"\r\n\r\n+12025550143\r\n'
    b'--b\r\nContent-Disposition: form-data; name="lead[id]"\r\n\r\n7\r\n--b--\r\n'
)


def delivery(body: bytes, content_type: str | None = None, query: str = "") -> Delivery:
    headers = {} if content_type is None else {"content-type": content_type}
    return Delivery("POST", f"https://outdial.example/hooks/x{query}", headers, body)


# --- what is read


def test_brackets_of_a_form_nest_and_numbered_ones_are_lists() -> None:
    form = form_body(b"leads[add][0][id]=7&leads[add][1][id]=8&tags[]=a&tags[]=b&odd[5]=x&plain=%C3%A9&empty=")
    assert form == {
        "leads": {"add": [{"id": "7"}, {"id": "8"}]},
        "tags": ["a", "b"],
        "odd": {"5": "x"},
        "plain": "é",
        "empty": "",
    }


def test_xml_is_a_dict_without_prefixes() -> None:
    body = b'<s:E xmlns:s="urn:s" xmlns:x="urn:x"><s:a x:kind="k">1</s:a><b/><b>2</b><c></c></s:E>'
    assert xml_body(body) == {"E": {"a": {"@kind": "k", "#text": "1"}, "b": [None, "2"], "c": None}}


@pytest.mark.parametrize("declared", ["iso-8859-1", "ISO-8859-1", "latin1", "windows-1252"])
def test_declared_charsets_are_decoded(declared: str) -> None:
    form = delivery(b"name=J\xfcrgen&other=%FC", f"application/x-www-form-urlencoded; charset={declared}")
    assert body_of(form) == {"name": "Jürgen", "other": "ü"}
    assert body_of(delivery(b"<a>\xfc</a>", f'text/xml; charset="{declared}"')) == {"a": "ü"}


def test_a_byte_order_mark_is_dropped() -> None:
    assert json_body(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("body", "content_type", "form", "expected"),
    [
        (b'{"a": 1}', "application/json", None, {"a": 1}),
        (b'{"a": 1}', "application/vnd.crm+json; charset=utf-8", None, {"a": 1}),
        (b"a=1", "application/x-www-form-urlencoded", None, {"a": "1"}),
        (b"<a>1</a>", "application/soap+xml", None, {"a": "1"}),
        (MULTIPART, "multipart/form-data; boundary=b", None, {"phone": "+12025550143", "lead": {"id": "7"}}),
        (MULTIPART, 'multipart/form-data; boundary="b"', "form", {"phone": "+12025550143", "lead": {"id": "7"}}),
        (b' [{"a": 1}]', "text/plain", None, [{"a": 1}]),
        (b"<a>1</a>", None, None, {"a": "1"}),
        (b"a=1", None, None, {"a": "1"}),
        (b'{"a": 1}', "application/x-www-form-urlencoded", "json", {"a": 1}),
    ],
)
def test_the_settings_the_content_type_or_the_first_character_say_the_form(
    body: bytes, content_type: str | None, form: Format | None, expected: Any
) -> None:
    assert body_of(delivery(body, content_type), form) == expected


def test_the_query_stands_for_an_empty_body_that_may_be_a_form() -> None:
    assert body_of(delivery(b"", query="?Phone=%2B12025550143&x=")) == {"Phone": "+12025550143", "x": ""}
    for empty, form in ((delivery(b""), None), (delivery(b" ", query="?a=1"), "json")):
        with pytest.raises(BadPayload):
            body_of(empty, form)  # type: ignore[arg-type]


@pytest.mark.parametrize(("body", "like"), [(b' {"a": "1"}', "JSON"), (b"[1]", "JSON"), (b"<a>1</a>", "XML")])
def test_what_is_no_form_is_not_read_as_one(body: bytes, like: str) -> None:
    for content_type, form in (("application/x-www-form-urlencoded", None), ("application/json", "form")):
        with pytest.raises(BadPayload, match=f"looks like {like}"):
            body_of(delivery(body, content_type), form)  # type: ignore[arg-type]


# --- what is refused

HOSTILE: list[tuple[Callable[..., Any], bytes, str]] = [
    (json_body, b"[" * 40_000 + b"]" * 40_000, "nested too deeply"),
    (json_body, b"[" * 200_000 + b"]" * 200_000, "too many objects"),
    (json_body, b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested too deeply"),
    (json_body, b'{"a": {"b": 1, "b": 2}}', "name twice"),
    (json_body, b'{"a": NaN}', "NaN"),
    (json_body, b'{"a": -Infinity}', "Infinity"),
    (json_body, b'{"a": 1e999}', "too large"),
    (json_body, b'{"a": ' + b"9" * 10_000 + b"}", "too long"),
    (json_body, b'{"a": "\xff\xfe"}', "not utf-8 at byte 8"),
    (json_body, b'{"a": "\\ud800"}', "surrogate"),
    (json_body, b'{"a": 1} x', "not JSON"),
    (json_body, b"", "is empty"),
    (json_body, b" \n", "is empty"),
    (json_body, b"[" + b"[]," * 60_000 + b"[]]", "too many objects"),
    (json_body, b"[" + b"0," * 200_000 + b"0]", "too many values"),
    (json_body, b" " * (MAX_BYTES + 1), "at most"),
    (form_body, b"a" + b"[0]" * 100_000 + b"=1", "brackets"),
    (form_body, b"a" + b"[0]" * 17 + b"=1", "nested too deeply"),
    (form_body, b"&".join(b"a%d=1" % number for number in range(100_000)), "too many fields"),
    (form_body, b"a=1&a=2", "twice"),
    (form_body, b"a=1&a[b]=2", "a table there"),
    (form_body, b"a[b]=1&a=2", "twice"),
    (form_body, b"a[0]=1&a[]=2&a[1]=3", "twice"),
    (form_body, b"a[b=1", "odd brackets"),
    (form_body, b"a]b[=1", "odd brackets"),
    (form_body, b"a=%ff", "not utf-8"),
    (xml_body, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
    (xml_body, b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "DOCTYPE"),
    (xml_body, b"<a>&b;</a>", "undefined entity"),
    (xml_body, b"<a>" * 10_000 + b"</a>" * 10_000, "nested too deeply"),
    (xml_body, b"<a>" + b"<b/>" * 100_000 + b"</a>", "too many elements"),
    (xml_body, b"<a " + b" ".join(b'b%d="1"' % number for number in range(30_000)) + b"/>", "too many elements"),
    (xml_body, b'<?xml version="1.0" encoding="utf-7"?><a/>', "charset"),
    (xml_body, b"<a><b></a>", "not XML"),
    (xml_body, b"<a>\xff</a>", "not XML"),
    (xml_body, b"<a/>" + b" " * MAX_BYTES, "at most"),
]


@pytest.mark.parametrize(("read", "body", "why"), HOSTILE, ids=[f"{row[0].__name__}-{row[2]}" for row in HOSTILE])
def test_hostile_bodies_are_refused_in_one_sentence(read: Callable[..., Any], body: bytes, why: str) -> None:
    with pytest.raises(BadPayload, match=why) as refused:
        read(body)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json; charset=utf-16"),
        (b'{"a": "\xe9"}', "application/json; charset=iso-8859-1"),
        (b"a=1", "application/x-www-form-urlencoded; charset=x-unknown"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
        (MULTIPART.removesuffix(b"--b--\r\n"), "multipart/form-data; boundary=b"),
        (MULTIPART.replace(b"name=", b"nome="), "multipart/form-data; boundary=b"),
        (b"--b" * 3000 + b"--", "multipart/form-data; boundary=b"),
    ],
)
def test_what_the_content_type_promises_and_the_body_breaks_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(BadPayload):
        body_of(delivery(body, content_type))


def test_the_largest_body_that_is_read_takes_little_memory() -> None:
    wide = b"<a>" + b"<b><c/></b>" * 9_999 + b"</a>"
    tracemalloc.start()
    try:
        xml_body(wide)
        json_body(b'[{"a":1}' + b',{"a":1}' * 20_000 + b"]")
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_what_is_too_much_is_refused_before_it_is_built() -> None:
    many = [b"[" + b"{}," * 340_000 + b"{}]", b"[" + b"1.5," * 260_000 + b"1]"]
    for body in many:
        tracemalloc.start()
        try:
            with pytest.raises(BadPayload, match="too many"):
                json_body(body)
            assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        finally:
            tracemalloc.stop()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for content_type in (None, "application/json", "text/xml", "application/x-www-form-urlencoded"):
        with contextlib.suppress(BadPayload):
            body_of(delivery(body, content_type))
