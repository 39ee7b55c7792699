"""Keys for rows that bring none: the same file again is the same jobs."""

import json
from datetime import UTC, datetime
from hashlib import blake2b

from worker.jobs import DialJob

_DEFAULTS = {name: field.get_default(call_default_factory=True) for name, field in DialJob.model_fields.items()}


class RowKeys:
    """
    Makes keys for the rows of one file that bring none.

    A key is made from what the row holds, after normalization (`Yes` is `yes`, a default that is written out is
    a default, metadata has no order), and from how many rows before it held the same. So the file's name and the
    order of its rows and columns do not matter, two equal rows are two jobs, and a CSV and an NDJSON file of the
    same rows are the same. The PBX that a job gets by `--pbx` or by the settings is no part of its row.

    Holds 8 bytes of hash for each row, which as a Python dict is about 100 bytes: 10 MB for 100,000 rows.

    Args:
        salt: The same rows under another salt get other keys.
    """

    def __init__(self, salt: str = "") -> None:
        self._salt = salt.encode()
        self._occurrences: dict[int, int] = {}

    def key_for(self, job: DialJob) -> str:
        """Return the key of the next row, which holds *job*."""
        digest = blake2b(self._salt + _content(job), digest_size=16).digest()
        mark = int.from_bytes(digest[:8], "big")
        occurrence = self._occurrences.get(mark, 0) + 1
        self._occurrences[mark] = occurrence
        return f"row:{digest.hex()}:{occurrence}"


def _content(job: DialJob) -> bytes:
    said = {name: value for name, value in vars(job).items() if value != _DEFAULTS[name]}
    return _PLAIN_JSON.encode(said).encode()


def _text_of_moment(moment: datetime) -> str:
    # One instant has one text, whatever its offset.
    return moment.astimezone(UTC).isoformat()


_PLAIN_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_text_of_moment)
