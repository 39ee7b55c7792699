"""What one simulator is told at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ops.pbx_simulator.faults import FaultRule
from ops.pbx_simulator.switchboard import BUSY, REGISTERED, UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """
    Settings of one run; the command's options bear the same names.

    Attributes:
        hits: Where to write the requests that faults acted on; None for nowhere.
        port: 0 picks a free one.
        cert_dir: Where the certificate is kept; None serves plain HTTP.
        extensions: Every extension there is, in order; all others answer 10006.
        events_to: Fixed address for events; None pushes to the `url` given at login, if any.
        answer_s: Replies to dials come after a random time of up to so many seconds, the ring at once.
        busy_errno: Code for dialing a busy extension; empty for Success without a ring.
        utc_offset_h: The PBX's time zone.
        seed: For faults with a probability; None for a different run each time.
    """

    journal: Path
    hits: Path | None = None
    cert_dir: Path | None
    host: str = "127.0.0.1"
    port: int = 0
    username: str = "api"
    password: str = field(default="simulator", repr=False)
    extensions: tuple[str, ...]
    busy: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    no_outbound: tuple[str, ...] = ()
    ring_s: float = 0.3
    talk_s: float = 1.0
    answer_s: float = 0.0
    busy_errno: str = ""
    token_life_s: float = 1800.0
    login_lock_s: float = 600.0
    single_session: bool = False
    keep_alive: bool = True
    utc_offset_h: float = 0.0
    events_to: str | None = None
    faults: tuple[FaultRule, ...] = ()
    seed: int | None = None

    def statuses(self) -> dict[str, str]:
        """Return each extension's own status at start; offline wins over busy."""
        statuses = dict.fromkeys(self.extensions, REGISTERED)
        statuses.update(dict.fromkeys(self.busy, BUSY))
        statuses.update(dict.fromkeys(self.offline, UNAVAILABLE))
        return statuses


def parse_extensions(text: str) -> tuple[str, ...]:
    """
    Return the extensions that ranges and lists such as `1000-1049,2001` name, in order, each once.

    A range keeps the width of its first number, so `0001-0010` has its zeros.

    Raises:
        ValueError: With a sentence on the part that is wrong.
    """
    found: dict[str, None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and len(first) <= 10 and len(last) <= 10):
            raise ValueError(f"{part!r} is neither an extension of 1-10 digits nor a range such as 1000-1049")
        if not 0 <= int(last) - int(first) < 100_000:
            raise ValueError(f"{part!r} must run upwards and name at most 100000 extensions")
        found.update(dict.fromkeys(str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)))
    return tuple(found)
