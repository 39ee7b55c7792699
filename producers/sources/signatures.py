"""What a file really is, by its first bytes: workbooks, archives and texts in other encodings bear any name."""

import re
from collections.abc import Callable

# Names of a ZIP archive's files stand in front of each of them: so many bytes hold enough of them.
ENOUGH = 65_536

_SAVE = 'save its sheet as CSV in UTF-8 (in Excel: "CSV UTF-8") and import that file'
_UNPACK = "unpack it, and import the CSV or NDJSON file in it"
_EXPORT = "export the list as CSV or NDJSON in UTF-8"
_WORKBOOK = f"an Excel workbook (.xlsx); {_SAVE}"
_OLD_WORKBOOK = f"an Excel workbook, an old one (.xls) or one with a password; {_SAVE}"

# Sources: PKWARE APPNOTE 4.3, [MS-CFB] 2.2, [MS-XLS] 2.4.21 and its forerunners (BOF records of BIFF 2 to 5), RFC
# 1952 and 8878, and the specifications of the other formats.
_BY_START: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_WORKBOOK),
    (b"\x09\x00\x04\x00", _OLD_WORKBOOK),
    (b"\x09\x02\x06\x00", _OLD_WORKBOOK),
    (b"\x09\x04\x06\x00", _OLD_WORKBOOK),
    (b"\x09\x08\x08\x00", _OLD_WORKBOOK),
    (b"\x09\x08\x10\x00", _OLD_WORKBOOK),
    (b"ID;P", f"a SYLK spreadsheet (.slk); {_SAVE}"),
    (b"\x1f\x8b", f"compressed (gzip); {_UNPACK}"),
    (b"BZh", f"compressed (bzip2); {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"compressed (xz); {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"compressed (zstd); {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7-Zip archive; {_UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive; {_UNPACK}"),
    (b"%PDF-", f"a PDF document; {_EXPORT}"),
    (b"{\\rtf", f"a formatted text (RTF); {_EXPORT}"),
    (b"SQLite format 3\x00", f"an SQLite database; {_EXPORT}"),
    (b"PAR1", f"a Parquet file; {_EXPORT}"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
# Texts within an archive's first bytes, the most telling first.
_IN_ZIP: tuple[tuple[bytes, str], ...] = (
    (b"vnd.oasis.opendocument.spreadsheet", f"an OpenDocument spreadsheet (.ods); {_SAVE}"),
    (b"vnd.oasis.opendocument.", f"an OpenDocument file and no spreadsheet; {_EXPORT}"),
    (b"xl/", _WORKBOOK),
    (b"word/", f"a Word document (.docx); {_EXPORT}"),
    (b"ppt/", f"a PowerPoint presentation (.pptx); {_EXPORT}"),
    (b"[Content_Types].xml", _WORKBOOK),
    (b".iwa", "an Apple Numbers document (.numbers); export it as CSV in UTF-8 and import that file"),
)
_IN_XML: tuple[tuple[bytes, str], ...] = (
    (b"urn:schemas-microsoft-com:office:spreadsheet", f"an Excel workbook (XML Spreadsheet); {_SAVE}"),
    (b"Excel.Sheet", f"an Excel workbook (XML Spreadsheet); {_SAVE}"),
    (b"urn:oasis:names:tc:opendocument", f"an OpenDocument spreadsheet (.fods); {_SAVE}"),
    (b"", f"XML; {_EXPORT}"),
)
_HTML = re.compile(rb"<(?:!doctype html|html|head|body|meta|style|table)\b", re.IGNORECASE)
_PAGE = f"a web page (HTML), as some systems export for Excel; open it in a spreadsheet program and {_SAVE}"
# The longer ones first: that of UTF-16 is the beginning of one of UTF-32.
_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_WIDE = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
# Latin, Greek, Cyrillic, Hebrew and Arabic. What is no UTF-16 but read as such is Chinese for the most part.
_LAST_OF_ALPHABETS = "\u06ff"


def foreign(start: bytes, more: Callable[[], bytes] = bytes) -> str | None:
    """
    Return what a file is that is neither CSV nor NDJSON in UTF-8, and what to do about it.

    Args:
        start: Its first line, or at least its first bytes. A file of any kind may begin with a BOM of UTF-8.
        more: Returns what follows; asked for archives and XML only.

    Returns:
        The end of a sentence that begins with "the file is", or None if nothing speaks against text in UTF-8.
    """
    start = start.removeprefix(b"\xef\xbb\xbf")
    for signature, what in _BY_START:
        if start.startswith(signature):
            return what
    if start.startswith(_ZIP):
        return _first_in(_IN_ZIP, start + more()) or f"a ZIP archive; {_UNPACK}"
    text = start.lstrip()
    if _HTML.match(text):
        return _PAGE
    if text.startswith(b"<?xml"):
        following = start + more()
        return _PAGE if _HTML.search(following) else _first_in(_IN_XML, following)
    if encoding := _encoding(start):
        return f'{encoding} text; save it as UTF-8 (in Excel: "CSV UTF-8") and import that file'
    return None


def _first_in(kinds: tuple[tuple[bytes, str], ...], start: bytes) -> str | None:
    return next((what for text, what in kinds if text in start), None)


def _encoding(start: bytes) -> str | None:
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    # Texts in UTF-8 have none of these bytes, and texts in UTF-16 or UTF-32 have one for each comma at least.
    if not any(byte < 9 for byte in start):
        return None
    return next((name[:6].upper() for name, width in _WIDE if _is_text(start, name, width)), None)


def _is_text(start: bytes, encoding: str, width: int) -> bool:
    # The line was cut behind a byte of its line end.
    text = start[: len(start) // width * width].decode(encoding, "replace").rstrip("\r\n\ufffd")
    letters = sum(letter <= _LAST_OF_ALPHABETS for letter in text)
    return text.replace("\t", " ").isprintable() and letters * 2 > len(text) > 1
