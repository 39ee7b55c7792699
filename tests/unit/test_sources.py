"""Sources: every row comes out, or its line and what is wrong with it; nothing brings the reading down."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.sources import Source
from producers.sources.csv_file import CsvFile
from producers.sources.lines import LONGEST_KEPT, LONGEST_LINE
from producers.sources.ndjson_file import NdjsonFile
from worker.errors import InputRefused
from worker.jobs import DialJob

HEADER = "extid,outto,autoanswer,metadata,metadata.lead\n"


BOTH = "the header lacks the columns extid and outto"
FIELDS = (
    "the fields are extid, outto, autoanswer, pbx, priority, key, not_before, expires_at, on_unknown, metadata"
)
KEEP_ONE = "remove it, or use the name metadata.NAME for what is to come back with the result"

Open = Callable[[TextIO], Source]
Row = tuple[int, dict[str, Any] | str]


def rows(source: Open, content: str | bytes) -> list[Row]:
    raw = content.encode() if isinstance(content, str) else content
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", errors="surrogateescape", newline="")
    return [(number, row) for number, row, _ in source(text)]


def csv_rows(content: str | bytes) -> list[Row]:
    return rows(CsvFile, content)


def ndjson_rows(content: str | bytes) -> list[Row]:
    return rows(NdjsonFile, content)


def job(extid: str, outto: str) -> dict[str, str]:
    return {"extid": extid, "outto": outto}


# --- CSV: what is read


def test_a_row_is_its_cells_under_the_names_of_the_header() -> None:
    assert csv_rows("extid,outto\n1001,41000\n1002,*97\n") == [(2, job("1001", "41000")), (3, job("1002", "*97"))]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_what_spreadsheets_write_is_read(separator: str, line_end: str, bom: bytes) -> None:
    lines = [["extid", "outto", "metadata.a,b"], ["1001", "41000", "x,y;z"]]
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=line_end).writerows(lines)
    assert csv_rows(bom + text.getvalue().encode()) == [
        (2, {"extid": "1001", "outto": "41000", "metadata": {"a,b": "x,y;z"}})
    ]


def test_cells_are_stripped_and_an_empty_one_is_absent() -> None:
    assert csv_rows(HEADER + "  1001 ,\t41000,  ,,\n") == [(2, job("1001", "41000"))]


def test_metadata_comes_from_a_json_cell_and_from_columns_of_its_own() -> None:
    content = HEADER + '1001,41000,,"{""a"": ""b""}",7\n'
    assert csv_rows(content)[0][1] == {**job("1001", "41000"), "metadata": {"a": "b", "lead": "7"}}


def test_blank_rows_are_passed_over_and_still_count_as_lines() -> None:
    content = "\nextid,outto\n\n1001,41000\n   \n,\n ; \n1002,41001\n\n"
    assert csv_rows(content) == [
        (4, job("1001", "41000")),
        (7, "the header has 2 cells and this row 1"),
        (8, job("1002", "41001")),
    ]


def test_a_row_over_several_lines_has_the_number_of_its_first() -> None:
    content = 'extid,outto,metadata.note\n1001,41000,"one\ntwo, and\r\n\nmore"\n1002,41001,x\n'
    assert csv_rows(content) == [
        (2, {**job("1001", "41000"), "metadata": {"note": "one\ntwo, and\r\n\nmore"}}),
        (6, {**job("1002", "41001"), "metadata": {"note": "x"}}),
    ]


def test_column_names_of_fields_may_be_in_any_case_and_those_of_metadata_stay() -> None:
    content = "ExtID, OUTTO ,metadata.Lead\n1001,41000,x\n"
    assert csv_rows(content)[0][1] == {**job("1001", "41000"), "metadata": {"Lead": "x"}}


def test_empty_cells_and_columns_at_the_end_are_no_matter() -> None:
    assert csv_rows("extid,outto,,\n1001,41000,,\n1002,41001\n") == [
        (2, job("1001", "41000")),
        (3, job("1002", "41001")),
    ]


# --- CSV: what is wrong


def complaint_of(content: str | bytes) -> str:
    with pytest.raises(InputRefused) as refused:
        csv_rows(content)
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "the file is empty; its first line must name the columns, such as extid,outto"),
        ("\n\n  \n", "the file is empty; its first line must name the columns, such as extid,outto"),
        ("\ufeff\n", "the file is empty; its first line must name the columns, such as extid,outto"),
        ("sep=;\n", "line 1: the file ends behind it; the next line must name the columns"),
        ("sep=-\nextid-outto\n", "line 1: '-' is no separator; use one of , ; | and tab"),
        (
            "\nextid,outto,colour",
            f"line 2: 'colour' is not a field of a dial job; {KEEP_ONE}; {FIELDS}",
        ),
        ("extid,outto,outto", "line 1: columns 2 and 3 have the same name, 'outto'; keep one of them"),
        ("extid,,outto", "line 1: column 2 has no name; name it, or remove it"),
        ("extid,,outto,,key", "line 1: columns 2 and 4 have no name; name them, or remove them"),
        ("extid", "line 1: the header lacks the column outto"),
        (
            'extid,"outto',
            "line 1: the header opens a quote that it does not close; write the name of each column on one line",
        ),
        ("extid,outto\0", "line 1: the header holds a NUL byte"),
        ("e" * (LONGEST_LINE + 1), "line 1: the header is longer than 65,536 characters"),
        (
            "1001,0901234567",
            "line 1: this looks like a row; the first line must name the columns, such as extid,outto",
        ),
        (
            "Leads of spring;;\n\n# exported\nextid;outto;key\n1001;41000;k\n",
            "line 1: this is no header, but line 4 looks like one; remove what stands above that line",
        ),
        (
            '{"extid":"1001","outto":"41000"}\n',
            "the file begins with {, as NDJSON does, but is read as CSV; change its format",
        ),
    ],
)
def test_a_wrong_header_refuses_the_file_before_any_row(content: str, complaint: str) -> None:
    assert complaint_of(content) == complaint


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (
            "Extension,phone",
            f"{BOTH}; rename 'Extension' to extid and 'phone' to outto if that is what they hold",
        ),
        (
            "ext_id;Out To",
            f"{BOTH}; rename 'ext_id' to extid and 'Out To' to outto if that is what they hold",
        ),
        (
            "extid,Phone 1,Mobile",
            "the header lacks the column outto; rename 'Phone 1' or 'Mobile' to outto if that is what it holds",
        ),
        ("extid,outto,prio", "rename 'prio' to priority if that is what it holds"),
        ("extid,outto,expire_at", "rename 'expire_at' to expires_at if that is what it holds"),
        ("extid\u200b,outto", "the header lacks the column extid; rename 'extid\\u200b' to extid if"),
        ("extid,outto,metadata_lead", "'metadata_lead' is not a field of a dial job"),
        ("extid,outto,metadata.", "'metadata.' is not a field of a dial job"),
        ("extid,outto,phone", "'phone' is not a field of a dial job"),
    ],
)
def test_a_likely_name_is_suggested_and_never_taken(header: str, complaint: str) -> None:
    assert complaint_of(header + "\n1001,41000,x\n").startswith(f"line 1: {complaint}")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_header_of_many_unknown_columns_names_the_missing_ones_and_few_others(separator: str) -> None:
    names = ["Name", "Telefon", "Straße", *(f"Feld {n}" for n in range(200))]
    complaint = complaint_of(separator.join(names) + "\n")
    assert complaint == (
        f"line 1: {BOTH}; rename 'Telefon' to outto if that is what it holds; "
        "rename the column that holds the extension to extid; "
        "of 'Name', 'Straße', 'Feld 0' and 199 more, remove what is not needed, or use the name metadata.NAME "
        "for what is to come back with the result"
    )


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Kunde;Nummer;Kampagne", "'Kunde', 'Nummer' and 'Kampagne'"),
        ("Name, Vorname;Kunde", "'Name, Vorname' and 'Kunde'"),
        ("Nachname, Vorname;Ort, Kreis, Land", "'Nachname, Vorname' and 'Ort, Kreis, Land'"),
        ("Kunde,Vorgang", "'Kunde' and 'Vorgang'"),
    ],
)
def test_columns_of_unknown_names_are_told_apart_whatever_separates_them(header: str, names: str) -> None:
    assert complaint_of(header + "\n1,2,3\n") == (
        f"line 1: {BOTH}; rename the columns that hold the extension to extid and the number to call to outto; "
        f"of {names}, remove what is not needed, or use the name metadata.NAME for what is to come back with the "
        "result"
    )


def test_a_likely_name_decides_what_separates_the_columns() -> None:
    assert complaint_of("Name,Firma,Ort;Telefon;Durchwahl\n").startswith(
        f"line 1: {BOTH}; rename 'Telefon' to outto and 'Durchwahl' to extid if that is what they hold"
    )


def test_a_hostile_header_is_refused_in_a_short_sentence() -> None:
    for header in (
        ",".join("ab" for _ in range(20_000)),
        ",".join(f"c{n},c{n}" for n in range(4000)),
        "x" * 60_000,
    ):
        assert len(complaint_of(header + "\n")) < 600


@pytest.mark.parametrize(
    ("first", "separator"),
    [
        ("sep=;", ";"),
        ("sep=,", ","),
        ("SEP=\t", "\t"),
        ("sep=\\t", "\t"),
        ("sep=|", "|"),
        ('"sep=;"', ";"),
        ("sep=;;;", ";"),
        ('"sep=,",,', ","),
    ],
)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_first_line_may_name_the_separator(bom: str, first: str, separator: str) -> None:
    content = f"{bom}{first}\r\nextid{separator}outto\r\n1001{separator}41000\r\n"
    assert csv_rows(content) == [(3, job("1001", "41000"))]


def test_a_separator_that_the_first_line_names_is_the_only_one() -> None:
    assert complaint_of("sep=;\nextid,outto\n") == "line 2: is not separated by the ; that the line above names"
    assert complaint_of("sep=;\next,phone\n").startswith("line 2: the header lacks the columns extid and outto")


def test_a_file_in_another_encoding_is_refused_by_its_header() -> None:
    assert complaint_of("extid,outto,metadata.größe\n".encode("cp1252")) == (
        "line 1: the header is not UTF-8 text (perhaps Windows-1252); save the file as UTF-8 "
        '(in Excel: "CSV UTF-8")'
    )


def test_a_file_without_header_is_refused_without_showing_its_numbers() -> None:
    for first in ("1001,0901234567", "x1;0901234567", "Miller,Ext 1001 / 0901234567,x"):
        assert "01234" not in complaint_of(first + "\n")


def test_text_under_a_column_without_name_is_rejected_by_its_place() -> None:
    assert csv_rows("extid,outto,,\n1001,41000,,x\n1002,41000,,\n1003,41000,,,x\n") == [
        (2, "column 4 has no name in the header and text in this row; name it, or empty it"),
        (3, job("1002", "41000")),
        (4, "the header has 2 cells and this row 5"),
    ]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (b"1001,41000,yes", "the header has 5 cells and this row 3"),
        (b"1001,41000,yes,,7,8", "the header has 5 cells and this row 6"),
        (b"1001,4100\0,,,", "holds a NUL byte"),
        (b"1001,41000,,,caf\xe9", "is not UTF-8 text"),
        (b'1001,41000,,,"x"y', "has text behind a closing quote"),
        (b"1001,41000,,," + b"x" * LONGEST_LINE, "is longer than"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_are_read(row: bytes, complaint: str) -> None:
    before, wrong, after = csv_rows(HEADER.encode() + b"1,1,,,\n" + row + b"\n2,2,,,\n")
    assert (before, after) == ((2, job("1", "1")), (4, job("2", "2")))
    assert wrong[0] == 3
    assert isinstance(wrong[1], str)
    assert wrong[1].startswith(complaint)


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ("{,", "is not JSON: Expecting property name enclosed in double quotes at character 2"),
        ("[],", "is not a JSON object; give one {...}"),
        ('"{""a"":""b"",""a"":""c""}",', "has a name twice"),
        ('"{""lead"":""b""}",7', "'lead' is given twice"),
    ],
)
def test_metadata_that_cannot_be_read_is_named_with_the_other_wrong_fields(cells: str, complaint: str) -> None:
    [(_, fields)] = csv_rows(f"{HEADER}10 01,41000,,{cells}\n")
    assert isinstance(fields, dict)
    with pytest.raises(InputRefused) as refused:
        DialJob.parse(fields)
    assert refused.value.problems == [
        "extid: '10 01' is invalid; expected 1 to 10 digits",
        f"metadata: {complaint}",
    ]


def test_a_quote_that_is_never_closed_spoils_its_own_row_only() -> None:
    many = "".join(f"{n},{n}\n" for n in range(3, 20_000))
    found = csv_rows(f'extid,outto\n1,1\n2,"2\n{many}')
    assert found[0] == (2, job("1", "1"))
    assert found[1] == (3, "opens a quote that is not closed")
    assert found[2:] == [(n + 1, job(str(n), str(n))) for n in range(3, 20_000)]


def test_a_quote_that_another_row_closes_spoils_its_own_row_only() -> None:
    found = csv_rows('extid,outto\n1,"1\n2,"2"\n3,3\n')
    assert found == [(2, "opens a quote that is not closed"), (3, job("2", "2")), (4, job("3", "3"))]


def test_text_in_quotes_is_never_a_row() -> None:
    text = '1001,41000,"note\n1002,0900123456\nend"\n1003,41000\n'
    assert csv_rows("extid,outto\n" + text) == [
        (2, "the header has 2 cells and this row 3"),
        (5, job("1003", "41000")),
    ]


@pytest.mark.parametrize("cell", [" 442079460018", '" 442079460018"', ' " 442079460018"'])
def test_a_number_keeps_a_blank_in_front_which_may_be_a_lost_plus(cell: str) -> None:
    assert csv_rows(f"extid,outto\n1001,{cell}\n")[0][1] == job("1001", " 442079460018")
    assert csv_rows(f"outto,extid\n{cell},1001\n")[0][1] == job("1001", " 442079460018")


def test_blanks_that_the_header_has_too_are_style() -> None:
    rows = csv_rows('extid, outto, metadata.note\n1001, 442079460018, "a, b"\n1002, 41000, x\n')
    assert rows[0][1] == {**job("1001", "442079460018"), "metadata": {"note": "a, b"}}
    assert rows[1][1] == {**job("1002", "41000"), "metadata": {"note": "x"}}


def test_a_file_that_stops_in_a_line_does_not_yield_half_a_row() -> None:
    assert csv_rows("extid,outto,key\n1001,410")[0][1] == "the header has 3 cells and this row 2"


# --- NDJSON


def test_each_line_is_an_object() -> None:
    content = b'\xef\xbb\xbf{"extid": 1001, "outto": "41000"}\r\n\n  \n{"extid":"1002","metadata":{"a":"b"}}'
    assert ndjson_rows(content) == [
        (1, {"extid": 1001, "outto": "41000"}),
        (4, {"extid": "1002", "metadata": {"a": "b"}}),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "is not JSON"),
        (b"[]", "is a JSON array"),
        (b'"x"', "is not a JSON object"),
        (b"1001,41000", "is not JSON"),
        (b'{"extid":1,"extid":2}', "has a name twice"),
        (b'{"metadata":{"a":"1","a":"2"}}', "has a name twice"),
        (b'{"extid":NaN}', "holds NaN"),
        (b'{"extid":-Infinity}', "holds -Infinity"),
        (b'{"extid":' + b"9" * 5000 + b"}", "holds a number that is too long"),
        (b'{"a":' + b"[" * 60_000, "is nested too deeply"),
        (b"[", "is a JSON array; give one object {...} per line"),
        (b'[{"extid":1}]', "is a JSON array; give one object {...} per line"),
        (b'{"a":"caf\xe9"}', "is not UTF-8 text"),
        (b'{"a":"\0"}', "holds a NUL byte"),
        (b'{"a":"' + b"x" * LONGEST_LINE + b'"}', "is longer than"),
        (b'{"a":1} {"b":2}', "is not JSON"),
        (b'{"metadata":{"\\ud83d":"x"}}', "holds half a surrogate pair"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_read(line: bytes, complaint: str) -> None:
    before, wrong, after = ndjson_rows(b'{"extid":1}\n' + line + b'\n{"extid":2}\n')
    assert (before, after) == ((1, {"extid": 1}), (3, {"extid": 2}))
    assert wrong[0] == 2
    assert isinstance(wrong[1], str)
    assert wrong[1].startswith(complaint)
    assert "1001" not in wrong[1]


# --- both


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(st.lists(TEXTS.filter(lambda text: bool(text.strip())), min_size=1, max_size=8), st.sampled_from(",;\t"))
def test_any_text_comes_back_out_of_both_formats(notes: list[str], separator: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["extid", "outto", "metadata.note"])
    writer.writerows(["1", "2", note] for note in notes)
    expected = [{**job("1", "2"), "metadata": {"note": note.strip()}} for note in notes]
    assert [row for _, row in csv_rows(text.getvalue())] == expected
    assert [row for _, row in ndjson_rows("".join(json.dumps(row) + "\n" for row in expected))] == expected


@pytest.mark.parametrize("source", [CsvFile, NdjsonFile])
@given(content=st.binary(max_size=300))
def test_no_bytes_bring_a_source_down(source: Open, content: bytes) -> None:
    for start in (b"", b"extid,outto\n", b"extid;outto;metadata\n"):
        try:
            found = rows(source, start + content)
        except InputRefused:
            continue
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))


def test_an_endless_line_is_not_held_in_memory(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        left, longest_read = 50_000_000, 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            size = min(self.left, len(buffer))
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    tracemalloc.start()
    try:
        text = io.TextIOWrapper(io.BufferedReader(Endless()), encoding="utf-8", newline="")
        ((number, problem, kept),) = NdjsonFile(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 1
    assert isinstance(problem, str)
    assert problem.startswith("is longer than")
    assert len(kept) == LONGEST_KEPT
    assert peak < 2_000_000
