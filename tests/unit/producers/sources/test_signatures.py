"""A file that is no text in UTF-8 is called what it is, whatever its name, before any row of it is read."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable

import pytest

from producers.importing import SOURCES, FileFormat
from producers.sources.signatures import foreign
from worker.errors import InputRefused

ROWS = b"extid,outto\r\n1001,41000\r\n"
WORKBOOK = 'save its sheet as CSV in UTF-8 (in Excel: "CSV UTF-8") and import that file'
UNPACK = "unpack it, and import the CSV or NDJSON file in it"
EXPORT = "export the list as CSV or NDJSON in UTF-8"


def archive(*names: str, content: bytes = b"x") -> bytes:
    """Return a ZIP archive with such files, the first of them stored as it is."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for at, name in enumerate(names):
            opened.writestr(name, content, zipfile.ZIP_DEFLATED if at else zipfile.ZIP_STORED)
    return file.getvalue()


def text_in(encoding: str, *, bom: str = "") -> bytes:
    return (bom + ROWS.decode()).encode(encoding)


FILES: dict[str, tuple[bytes, str]] = {
    "xlsx": (
        archive("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/worksheets/sheet1.xml"),
        f"an Excel workbook (.xlsx); {WORKBOOK}",
    ),
    "xlsx whose first file is a big one": (
        archive("docProps/thumbnail.jpeg", "xl/workbook.xml", content=bytes(range(256)) * 100),
        f"an Excel workbook (.xlsx); {WORKBOOK}",
    ),
    "xls": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
        f"an Excel workbook, an old one (.xls) or one with a password; {WORKBOOK}",
    ),
    "xls of Excel 4": (
        b"\x09\x04\x06\x00\x00\x00\x10\x00",
        f"an Excel workbook, an old one (.xls) or one with a password; {WORKBOOK}",
    ),
    "ods": (
        archive("mimetype", "content.xml", content=b"application/vnd.oasis.opendocument.spreadsheet"),
        f"an OpenDocument spreadsheet (.ods); {WORKBOOK}",
    ),
    "odt": (
        archive("mimetype", content=b"application/vnd.oasis.opendocument.text"),
        f"an OpenDocument file and no spreadsheet; {EXPORT}",
    ),
    "numbers": (
        archive("Index/Document.iwa", "Index/Tables/DataList.iwa"),
        "an Apple Numbers document (.numbers); export it as CSV in UTF-8 and import that file",
    ),
    "docx": (archive("[Content_Types].xml", "word/document.xml"), f"a Word document (.docx); {EXPORT}"),
    "zip": (archive("leads.csv", content=ROWS), f"a ZIP archive; {UNPACK}"),
    "zip without files": (archive(), f"a ZIP archive; {UNPACK}"),
    "gzip": (gzip.compress(ROWS), f"compressed (gzip); {UNPACK}"),
    "bzip2": (bz2.compress(ROWS), f"compressed (bzip2); {UNPACK}"),
    "xz": (lzma.compress(ROWS), f"compressed (xz); {UNPACK}"),
    "sylk": (b"ID;PWXL;N;E\r\nP;PGeneral\r\n", f"a SYLK spreadsheet (.slk); {WORKBOOK}"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", f"a PDF document; {EXPORT}"),
    "rtf": (b"{\\rtf1\\ansi 1001}", f"a formatted text (RTF); {EXPORT}"),
    "html": (
        b'\xef\xbb\xbf\r\n<HTML xmlns:x="urn:schemas-microsoft-com:office:excel">\r\n<table>',
        f"a web page (HTML), as some systems export for Excel; open it in a spreadsheet program and {WORKBOOK}",
    ),
    "xhtml": (
        b'<?xml version="1.0"?>\r\n<!DOCTYPE html>\r\n<html>',
        f"a web page (HTML), as some systems export for Excel; open it in a spreadsheet program and {WORKBOOK}",
    ),
    "xml spreadsheet": (
        b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook>',
        f"an Excel workbook (XML Spreadsheet); {WORKBOOK}",
    ),
    "xml": (b'<?xml version="1.0"?>\n<leads/>', f"XML; {EXPORT}"),
}
FILES |= {
    f"{encoding} {'with' if bom else 'without'} BOM": (
        text_in(encoding, bom=bom),
        f'{encoding[:6].upper()} text; save it as UTF-8 (in Excel: "CSV UTF-8") and import that file',
    )
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    for bom in ("", "\ufeff")
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("file_format", SOURCES)
def test_a_file_of_another_kind_is_named(file_format: FileFormat, name: str) -> None:
    content, what = FILES[name]
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="surrogateescape", newline="")
    with pytest.raises(InputRefused) as refused:
        list(SOURCES[file_format](text))
    assert str(refused.value) == f"the file is {what}"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_header_in_another_alphabet_is_known_without_bom(encoding: str) -> None:
    for header in ("extid;телефон\r\n", "extid\toutto\r\n", "διεύθυνση,extid\n", "extid,größe\r"):
        assert (foreign(header.encode(encoding)) or "").startswith(encoding[:6].upper())


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        b"\xef\xbb\xbf" + ROWS,
        b"\r\n" + ROWS,
        b'"extid","outto"\n',
        b'{"extid":"1001"}\n',
        b"extid,outto\0\n",
        b"extid,\0\0outto\n",
        b"\0",
        b"\0\0\0\0",
        b"\x01\x02\n",
        "extid,outto,größe\n".encode("cp1252"),
        "extid,outto,名前\n".encode(),
        b"PK,extid\n",
        b"<b>,extid\n",
        b"IDENTITY;P\n",
        b"\textid\toutto\n",
    ],
)
def test_text_is_not_taken_for_anything_else(content: bytes) -> None:
    assert foreign(content.splitlines(keepends=True)[0]) is None


def test_what_follows_is_read_where_that_tells_more() -> None:
    def nothing() -> bytes:
        raise AssertionError

    more: Callable[[], bytes] = nothing
    assert foreign(gzip.compress(ROWS), more) is not None
    assert foreign(ROWS, more) is None
