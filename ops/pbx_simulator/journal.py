"""
The journal: the truth of which phones rang.

NDJSON, one line for each phone that started to ring, appended and handed to the kernel before the HTTP reply
is sent, so that a lost reply never hides a ring:

    {"t":1495710387.412,"extid":"1002","outto":"41000","callid":"1495710387.333"}

Beside it, if asked for, the same for the requests that faults acted on:

    {"t":1495710387.411,"kind":"drop_after_ring","resource":"dial_outbound","extid":"1002","outto":"41000"}
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ring:
    """
    One phone that rang.

    Attributes:
        t: When the ringing began, Unix seconds.
        extid: The extension that rang.
        outto: The number it was to be connected to.
        callid: The PBX's id of the call, `epoch.sequence`.
    """

    t: float
    extid: str
    outto: str
    callid: str


@dataclass(frozen=True, slots=True)
class Hit:
    """
    One request that a fault acted on.

    Attributes:
        t: When it came, Unix seconds.
        kind: Of the fault.
        resource: What was asked for.
        extid: The extension it was about, None for no extension.
        outto: The number, None for none.
    """

    t: float
    kind: str
    resource: str
    extid: str | None
    outto: str | None


class Journal:
    """
    Append-only writer of rings, or of hits.

    A kill at any point leaves whole lines: each is one write(2) to a descriptor opened with O_APPEND, so several
    simulators may even share a file. Nothing is fsynced: the journal must outlive this process, not the machine.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Numbers are personal data: readable by the owner alone.
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: Ring | Hit) -> None:
        """Append *line*; on return it is in the kernel's hands."""
        os.write(self._fd, json.dumps(asdict(line), separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_journal(path: str | Path) -> list[Ring]:
    """
    Return every ring of the journal at *path*, oldest first.

    A last line without its line end is still being written and is left out.

    Raises:
        FileNotFoundError: If there is no journal there.
        ValueError: If a line is not a ring; names the file and line.
    """
    return [_ring(line, where=where) for where, line in _whole_lines(Path(path))]


def read_hits(path: str | Path) -> list[Hit]:
    """
    Return every request that a fault acted on, oldest first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not a hit.
    """
    return [Hit(**json.loads(line)) for _, line in _whole_lines(Path(path))]


def rung_twice(
    rings: Iterable[Ring], *, allowed: Mapping[tuple[str, str], int] | None = None
) -> dict[tuple[str, str], int]:
    """
    Return the pairs that rang more often than they should have.

    Args:
        rings: What the journal holds; several journals may be chained.
        allowed: How often each (extid, outto) may ring; a pair not named may ring once.

    Returns:
        {(extid, outto): times it rang}, in order of first ring; empty when all is well.
    """
    limits = allowed or {}
    counts = Counter((ring.extid, ring.outto) for ring in rings)
    return {pair: count for pair, count in counts.items() if count > limits.get(pair, 1)}


def _whole_lines(path: Path) -> list[tuple[str, str]]:
    """Return (file and line number, text) of the lines that are written to their end."""
    text = path.read_text(encoding="utf-8")
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]


def _ring(line: str, *, where: str) -> Ring:
    try:
        raw = json.loads(line)
        return Ring(t=float(raw["t"]), extid=str(raw["extid"]), outto=str(raw["outto"]), callid=str(raw["callid"]))
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"{where}: not a ring, expected an object with t, extid, outto and callid") from exc
