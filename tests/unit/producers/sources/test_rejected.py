"""Rejected rows come out as they went in, and what is read of them again is what was read at first."""

import csv
import io
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.sources import RejectedRow, Source
from producers.sources.csv_file import CsvFile
from producers.sources.lines import LONGEST_KEPT, LONGEST_LINE
from producers.sources.ndjson_file import NdjsonFile
from worker.errors import InputRefused

REASON = 'outto: is "wrong";\nit has letters'


def source(kind: type, content: bytes) -> Source:
    opened: Source = kind(
        io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="surrogateescape", newline="")
    )
    return opened


def rejects(kind: type, content: bytes, *, reason: str = REASON) -> bytes:
    """Return the file of rejected rows of an import that takes none."""
    read = source(kind, content)
    rows = [read.rejects.written(RejectedRow(line, reason, text)) for line, _, text in read]
    return (read.rejects.head + "".join(rows)).encode("utf-8", "surrogateescape")


def rows(kind: type, content: bytes) -> list[object]:
    # Where in a line JSON ends to be JSON is another place behind what was added.
    return [
        re.sub("character [0-9]+", "", row) if isinstance(row, str) else row for _, row, _ in source(kind, content)
    ]


def table(content: bytes, separator: str = ",") -> list[dict[str, str]]:
    text = content.decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


# --- CSV


def test_a_row_is_written_as_it_stands_in_its_file_with_its_line_and_the_reason() -> None:
    assert rejects(CsvFile, b'\xef\xbb\xbfsep=;\r\n ExtID ;outto;metadata.A\r\n\r\n 10 01 ;"41000"; x\r\n') == (
        b"\xef\xbb\xbfsep=;\r\n"
        b" ExtID ;outto;metadata.A;outdial_line;outdial_row;outdial_reason\r\n"
        b' 10 01 ;"41000"; x;4;;"outto: is ""wrong""; it has letters"\r\n'
    )


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        (b"1003", "> 1003"),
        (b"1001,41000,x,y", "> 1001,41000,x,y"),
        (b'1001,"41000', '> 1001,"41000'),
        (b'1001,41000,"x"y', '> 1001,41000,"x"y'),
        (b"=1001,41000", "> =1001,41000"),
        (b"1001,4\xe9", "> 1001,4\udce9"),
    ],
)
def test_a_row_whose_cells_cannot_be_told_apart_stands_in_one_cell(row: bytes, kept: str) -> None:
    written = rejects(CsvFile, b"extid,outto,key\n" + row + b"\n1002,41002,k\n")
    wrong, right = table(written)
    assert (wrong["extid"], wrong["outto"], wrong["key"], wrong["outdial_line"]) == ("", "", "", "2")
    assert wrong["outdial_row"] == kept
    assert (right["extid"], right["outdial_row"], right["outdial_line"]) == ("1002", "", "3")


def test_a_row_in_one_cell_is_corrected_there_or_in_its_columns() -> None:
    written = rejects(CsvFile, b"extid,outto,key\n1001,41000\n").decode()
    head, row = written.split("\n", 1)
    there = f"{head}\n{row.replace('> 1001,41000', '> 1001,41000,k')}"
    unmarked = f"{head}\n{row.replace('> 1001,41000', '1001,41000,k')}"
    in_columns = f"{head}\n1001,41000,k{row.removeprefix(',,')}"
    for corrected in (there, unmarked, in_columns):
        assert rows(CsvFile, corrected.encode()) == [{"extid": "1001", "outto": "41000", "key": "k"}]
    emptied = f"{head}\n{row.replace('> 1001,41000', '')}"
    assert rows(CsvFile, emptied.encode()) == ["has no content; correct the row, or remove it"]


def test_a_spreadsheet_that_pads_short_lines_makes_no_call_of_a_row_cut_short() -> None:
    written = rejects(CsvFile, b"extid,outto,metadata.note\n1001,41000\n1002\n")
    text = io.StringIO()
    csv.writer(text).writerows(csv.reader(io.StringIO(written.decode())))
    assert rows(CsvFile, text.getvalue().encode()) == [
        "the header has 3 cells and this row 2",
        "the header has 3 cells and this row 1",
    ]


def test_columns_of_a_rejects_file_may_be_moved_removed_and_left_empty() -> None:
    for content in (
        b"OUTDIAL_LINE,outto,outdial_reason,extid\n7,41000,bad,1001\n",
        b"extid,outto,outdial_line,outdial_row,outdial_reason\n1001,41000,,,\n",
        b"extid,outto\n1001,41000\n",
    ):
        assert rows(CsvFile, content) == [{"extid": "1001", "outto": "41000"}]
    assert rows(CsvFile, b"extid,outto,outdial_line\n,,7\n") == ["has no content; correct the row, or remove it"]


def test_unnamed_columns_and_cells_at_the_end_are_left_out() -> None:
    written = rejects(CsvFile, b"extid,outto,,\n10 01,41000\n10 02,41000,,\n10 03,41000,,,\n")
    assert written.splitlines()[0] == b"extid,outto,outdial_line,outdial_row,outdial_reason"
    assert [(row["extid"], row["outto"], row["outdial_row"]) for row in table(written)] == [
        ("10 01", "41000", ""),
        ("10 02", "41000", ""),
        ("10 03", "41000", ""),
    ]


def test_our_own_cells_are_no_formulas_and_those_of_the_file_stay_as_they_are() -> None:
    [row] = table(rejects(CsvFile, b"extid,outto\n=1+1,+41000\n", reason="=HYPERLINK(1)"))
    assert (row["extid"], row["outto"], row["outdial_reason"]) == ("=1+1", "+41000", "'=HYPERLINK(1)")


def test_a_line_that_is_too_long_is_kept_to_a_point_and_says_so() -> None:
    note = "x" * LONGEST_LINE
    [whole] = table(rejects(CsvFile, f"extid,outto,metadata.note\n1001,41000,{note}\n".encode()))
    assert whole["metadata.note"] == note
    csv.field_size_limit(10 * LONGEST_KEPT)
    try:
        [cut] = table(
            rejects(CsvFile, b"extid,outto\n1001," + b"2" * (2 * LONGEST_KEPT) + b"\n", reason="too long")
        )
    finally:
        csv.field_size_limit(131_072)
    assert cut["outdial_row"] == "> 1001," + "2" * (LONGEST_KEPT - 5)
    assert cut["outdial_reason"] == "too long; only its first 262,144 characters are here"


# --- NDJSON


def test_a_line_is_written_as_it_is_behind_its_number_and_the_reason() -> None:
    line = b' {"outto" : 4.42079E+11,  "colour": "caf\xc3\xa9", "extid":"1001"}\r\n'
    written = rejects(NdjsonFile, b"\xef\xbb\xbf\n" + line)
    assert written.endswith(b', "outto" : 4.42079E+11,  "colour": "caf\xc3\xa9", "extid":"1001"}\n')
    fields = json.loads(written)
    assert (fields["outdial_line"], fields["outdial_reason"]) == (2, REASON.replace("\n", " "))
    assert rows(NdjsonFile, written) == [{"outto": 4.42079e11, "colour": "café", "extid": "1001"}]


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        (b'{"extid":"1001","outto":"41000"', (b'"41000"', b'"41000"}')),
        (b'{"extid":"1001","outto":"41000","outto":"41001"}', (b',"outto":"41001"', b"")),
        (b'["1001","41000"]', (rb"[\"1001\",\"41000\"]", rb"{\"extid\":\"1001\",\"outto\":\"41000\"}")),
        (b"1001,41000", (b'"outdial_row": "1001,41000"', b'"extid":"1001","outto":"41000"')),
        (b'{"extid":"1001","outto":"41000\0"}', (b"\0", b"")),
        (b'{"extid":"1001","outto":"41000","key":"\xe9"}', (b',"key":"\xe9"', b"")),
        (b"{}", (b"}", b',"extid":"1001","outto":"41000"}')),
    ],
)
def test_a_line_that_is_no_object_is_corrected_where_it_stands(
    line: bytes, correction: tuple[bytes, bytes]
) -> None:
    written = rejects(NdjsonFile, line + b"\n")
    assert written.count(b"\n") == 1
    assert written.replace(*correction) != written
    assert rows(NdjsonFile, written.replace(*correction)) == [{"extid": "1001", "outto": "41000"}]


# --- both

CSV_START = (
    b"extid,outto\n",
    b"sep=;\nextid;outto;metadata.note\n",
    b"\xef\xbb\xbfoutto\textid\t\t\r\n",
    b"extid|outto\r",
)
CSV_CELLS = st.sampled_from(
    [
        b"1001",
        b"41000",
        b" ",
        b"",
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r\n",
        b"\r",
        b"\xe9",
        b"\0",
        b"caf\xc3\xa9",
    ]
)
JSON_PARTS = st.sampled_from(
    [
        b"{",
        b"}",
        b'"extid"',
        b'"outto"',
        b":",
        b",",
        b'"41000"',
        b"1e5",
        b"\n",
        b"\r\n",
        b" ",
        b"\xe9",
        b"\0",
        b"[",
        b"]",
        b'"outdial_row"',
        b'"outdial_line"',
        b'{"extid":"1","outto":"2"}',
        b'"\\u00e9"',
    ]
)


@given(start=st.sampled_from(CSV_START), parts=st.lists(CSV_CELLS, max_size=40))
@example(CSV_START[0], [b"1001", b",", b'"', b"41000", b"\n", b"41000", b",", b'"'])
def test_rejected_rows_of_csv_are_read_as_the_rows_were(start: bytes, parts: list[bytes]) -> None:
    content = start + b"".join(parts)
    at_first = rows(CsvFile, content)
    once = rejects(CsvFile, content)
    again = rejects(CsvFile, once)
    # Of a row out of shape that runs over several lines, the first line alone is left.
    assert [_or_wrong(row) for row in rows(CsvFile, once)] == [_or_wrong(row) for row in at_first]
    assert rows(CsvFile, again) == rows(CsvFile, once)
    assert [line for line, _, _ in source(CsvFile, again)] == [line for line, _, _ in source(CsvFile, once)]


def _or_wrong(row: object) -> object:
    return "wrong" if isinstance(row, str) else row


@given(bom=st.sampled_from([b"", b"\xef\xbb\xbf"]), parts=st.lists(JSON_PARTS, max_size=30))
def test_rejected_rows_of_ndjson_are_read_as_the_rows_were(bom: bytes, parts: list[bytes]) -> None:
    content = bom + b"".join(parts)
    try:
        at_first = rows(NdjsonFile, content)
    except InputRefused:
        return
    once = rejects(NdjsonFile, content)
    again = rejects(NdjsonFile, once)
    assert rows(NdjsonFile, once) == [row or "has no content; correct the row, or remove it" for row in at_first]
    assert rows(NdjsonFile, again) == rows(NdjsonFile, once)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (CsvFile, b'extid,outto\n1001,442079460018\n1002,"442079460019"\n1003,442079460010,x\n1004,"44\n'),
        (CsvFile, b'extid;outto;metadata.note\n1001;442079460018;one\n1002;442079460019;"two\nlines"\n'),
        (NdjsonFile, b'{"extid":"1001","outto":"442079460018"}\n1001\n{"outto":"442079460019","extid":"1002"}\n'),
    ],
)
def test_a_file_that_was_cut_off_holds_no_row_that_was_not_in_it(kind: type, content: bytes) -> None:
    whole = rejects(kind, content)
    rights = [row for row in rows(kind, whole) if isinstance(row, dict)]
    for length in range(whole.index(b"\n"), len(whole)):
        try:
            found = rows(kind, whole[:length])
        except InputRefused:
            continue
        assert [row for row in found if isinstance(row, dict)] == rights[
            : sum(isinstance(row, dict) for row in found)
        ]
