"""Rejected rows of an NDJSON file, as an NDJSON file."""

import json
import re

from producers.sources import RejectedRow
from producers.sources.lines import BOM
from producers.sources.names import LINE, REASON, ROW
from producers.sources.rejected import is_cut, reason_of

ANY_OF_OURS = '"outdial_'

# What `NdjsonRejects` writes, perhaps with the spaces of another program.
_OURS = re.compile(rf"""\{{\s*"{LINE}"\s*:\s*[0-9]+\s*,\s*"{REASON}"\s*:\s*"(?:[^"\\]|\\.)*+"\s*,?\s*""")


class NdjsonRejects:
    """
    Writes lines as they stand in their file; see `producers.sources.Rejects`.

    What outdial adds stands at the beginning of a line's object, and the rest of the line is as it was, also where
    it is no JSON for want of a bracket. A line that does not begin as an object stands in one as a text.
    """

    head = ""

    def written(self, row: RejectedRow) -> str:
        """Return the line of one row."""
        text = _without_ours(row.text)
        ours = {LINE: row.line, REASON: reason_of(row)}
        if is_cut(row) or not text.startswith("{") or ANY_OF_OURS in text:
            return json.dumps(ours | {ROW: text}, ensure_ascii=False) + "\n"
        rest = text[1:].lstrip()
        return json.dumps(ours, ensure_ascii=False)[:-1] + ("" if rest.startswith("}") else ", ") + rest + "\n"


def _without_ours(text: str) -> str:
    text = text.lstrip(BOM).strip()
    found = _OURS.match(text)
    return "{" + text[found.end() :] if found else text
