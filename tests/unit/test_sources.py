"""Sources: every row comes out, or its line and what is wrong with it; nothing brings the reading down."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.sources import NumberedRow, Source, csv_file, ndjson_file
from producers.sources.lines import LONGEST_LINE
from worker.errors import InputRefused

HEADER = "extid,outto,autoanswer,metadata,metadata.lead\n"


def rows(source: Source, content: str | bytes) -> list[NumberedRow]:
    raw = content.encode() if isinstance(content, str) else content
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", errors="surrogateescape", newline="")
    return list(source(text))


def csv_rows(content: str | bytes) -> list[NumberedRow]:
    return rows(csv_file.read, content)


def ndjson_rows(content: str | bytes) -> list[NumberedRow]:
    return rows(ndjson_file.read, content)


def job(extid: str, outto: str) -> dict[str, str]:
    return {"extid": extid, "outto": outto}


# --- CSV: what is read


def test_a_row_is_its_cells_under_the_names_of_the_header() -> None:
    assert csv_rows("extid,outto\n1001,41000\n1002,*97\n") == [(2, job("1001", "41000")), (3, job("1002", "*97"))]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
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


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("", "the file is empty"),
        ("\n\n  \n", "the file is empty"),
        ("extid,outto,colour", "no column of a dial job is called 'colour'"),
        ("extid,outto,metadata.", "no column of a dial job is called 'metadata.'"),
        ("extid,outto,outto", "the column outto comes twice"),
        ("extid,,outto", "no column of a dial job is called ''"),
        ("extid", "lacks outto"),
        ("outto,extid|", "lacks extid"),
        ('extid,"outto', "lacks extid and outto"),
        ("extid,outto\0", "NUL"),
        ("e" * (LONGEST_LINE + 1), "longer than"),
    ],
)
def test_a_wrong_header_refuses_the_file_before_any_row(header: str, complaint: str) -> None:
    with pytest.raises(InputRefused, match=complaint):
        csv_rows(header + "\n1001,41000\n" if header.strip() else header)


def test_a_file_of_another_encoding_is_refused_by_its_header() -> None:
    with pytest.raises(InputRefused, match="UTF-8"):
        csv_rows("extid,outto\n1001,41000\n".encode("utf-16"))


def test_a_file_without_header_is_refused_without_showing_its_numbers() -> None:
    with pytest.raises(InputRefused) as refused:
        csv_rows("1001,0901234567\n")
    assert "lacks extid and outto" in str(refused.value)
    assert "01234" not in str(refused.value)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (b"1001,41000,yes", "the header has 5 cells and this row 3"),
        (b"1001,41000,yes,,7,8", "the header has 5 cells and this row 6"),
        (b"1001,4100\0,,,", "holds a NUL byte"),
        (b"1001,41000,,,caf\xe9", "is not UTF-8 text"),
        (b'1001,41000,,,"x"y', "has text behind a closing quote"),
        (b"1001,41000,,{,", "metadata: is not JSON"),
        (b"1001,41000,,[],", "metadata: is not a JSON object"),
        (b'1001,41000,,"{""a"":""b"",""a"":""c""}",', "metadata: has a name twice"),
        (b'1001,41000,,"{""lead"":""b""}",7', "metadata: 'lead' is given twice"),
        (b"1001,41000,,," + b"x" * LONGEST_LINE, "is longer than"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_are_read(row: bytes, complaint: str) -> None:
    before, wrong, after = csv_rows(HEADER.encode() + b"1,1,,,\n" + row + b"\n2,2,,,\n")
    assert (before, after) == ((2, job("1", "1")), (4, job("2", "2")))
    assert wrong[0] == 3
    assert isinstance(wrong[1], str)
    assert wrong[1].startswith(complaint)


def test_a_quote_that_is_never_closed_spoils_its_own_row_only() -> None:
    many = "".join(f"{n},{n}\n" for n in range(3, 20_000))
    found = csv_rows(f'extid,outto\n1,1\n2,"2\n{many}')
    assert found[0] == (2, job("1", "1"))
    assert found[1] == (3, "opens a quote that is not closed")
    assert found[2:] == [(n + 1, job(str(n), str(n))) for n in range(3, 20_000)]


def test_a_quote_that_another_row_closes_spoils_its_own_row_only() -> None:
    found = csv_rows('extid,outto\n1,"1\n2,"2"\n3,3\n')
    assert found == [(2, "has text behind a closing quote"), (3, job("2", "2")), (4, job("3", "3"))]


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
        (b"[]", "is not a JSON object"),
        (b'"x"', "is not a JSON object"),
        (b"1001,41000", "is not JSON"),
        (b'{"extid":1,"extid":2}', "has a name twice"),
        (b'{"metadata":{"a":"1","a":"2"}}', "has a name twice"),
        (b'{"extid":NaN}', "holds NaN"),
        (b'{"extid":-Infinity}', "holds -Infinity"),
        (b'{"extid":' + b"9" * 5000 + b"}", "holds a number that is too long"),
        (b"[" * 60_000, "is nested too deeply"),
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


@pytest.mark.parametrize("source", [csv_file.read, ndjson_file.read])
@given(content=st.binary(max_size=300))
def test_no_bytes_bring_a_source_down(source: Source, content: bytes) -> None:
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

    import tracemalloc

    tracemalloc.start()
    try:
        text = io.TextIOWrapper(io.BufferedReader(Endless()), encoding="utf-8", newline="")
        ((number, problem),) = ndjson_file.read(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 1
    assert isinstance(problem, str)
    assert problem.startswith("is longer than")
    assert peak < 2_000_000
