"""Signs of life of this process: every part tells what it heard last, and one thread writes it down."""

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from worker.heartbeat import ANSWERED, ENDING, EXPECTED, FULL, REFUSED

log = structlog.get_logger()

_EVERY_S = 1.0


class Pulse:
    """
    When each part of the process last heard something, and what.

    Telling costs a dictionary entry and takes no lock: it happens for every message.
    """

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, str]] = {}
        # Limits, what was heard since they hold, and the slots; replaced together.
        self._life: tuple[Mapping[str, float], dict[str, tuple[float, str]], Slots | None] = ({}, {}, None)

    def expect(self, limits: Mapping[str, float], *, slots: "Slots | None" = None) -> None:
        """
        Begin a new time of life, in which these parts count and no others.

        Args:
            limits: {part: seconds without a sign after which it is deaf}, counted from now at first.
            slots: Looked at whenever the signs are asked for.
        """
        now = time.monotonic()
        self._heard = dict.fromkeys(limits, (now, EXPECTED))
        self._life = (dict(limits), self._heard, slots)

    def answered(self, part: str) -> None:
        """A step of *part* was answered."""
        self._heard[part] = (time.monotonic(), ANSWERED)

    def refused(self, part: str) -> None:
        """A step of *part* was refused by somebody: it hears, and Redis is away."""
        self._heard[part] = (time.monotonic(), REFUSED)

    def full(self, part: str) -> None:
        """Nothing can come for *part*, for there is no room for it."""
        self._heard[part] = (time.monotonic(), FULL)

    def is_refused(self) -> bool:
        """Whether the last word that any part heard was a refusal."""
        return any(word == REFUSED for _, word in tuple(self._heard.values()))

    def signs(self) -> dict[str, tuple[float, float, str]]:
        """Return {part: (when it last heard something, its limit in seconds, what that was)}."""
        limits, heard, slots = self._life
        if slots is not None:
            slots.look(self)
        return {part: (heard[part][0], limit_s, heard[part][1]) for part, limit_s in limits.items()}


# The process's one, as its log is: threads of whatever module tell it, and there is one file for all of them.
PULSE = Pulse()


class Slots:
    """
    Notices when all slots of this process hang.

    Args:
        count: How many there are.
        taken: Returns the ids of the tasks in them.
    """

    def __init__(self, count: int, taken: Callable[[], Collection[str]]) -> None:
        self._count = count
        self._taken = taken
        self._before: frozenset[str] = frozenset()

    def look(self, pulse: Pulse) -> None:
        """Tell of the slots: it is well if one is free, or has another task than the last time."""
        before, self._before = self._before, frozenset(self._taken())
        if len(self._before) >= self._count:
            pulse.full("consumer")  # no message is asked for: none could be begun
            if self._before == before:
                # Calls wait for a Redis that is away, for as long as it takes.
                return pulse.refused("pool") if pulse.is_refused() else None
        return pulse.answered("pool")


class BeatFile:
    """
    A file that a thread writes anew every second, whole or not at all.

    It never holds anybody up: where it cannot be written that is logged once, and tried again.

    Args:
        folder: Made if it is not there.
        name: Of the supervisor or process.
        content: Called for each writing; the thread's own, so it must take no long lock.
    """

    def __init__(self, folder: Path, name: str, content: Callable[[], Mapping[str, object]]) -> None:
        self._folder = folder
        self._file = folder / f"{name}{ENDING}"
        self._content = content
        self._is_told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        # Monotonic seconds; 0: never.
        self.written_at = 0.0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more, and take the file away; returns within two seconds, whatever the disk does."""
        self._stopping.set()
        self._thread.join(2)

    def _run(self) -> None:
        while True:
            self._write()
            if self._stopping.wait(_EVERY_S):
                with suppress(OSError):
                    self._file.unlink()
                return

    def _write(self) -> None:
        try:
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            beside = self._file.with_suffix(f"{ENDING}.new")
            beside.write_text(json.dumps(self._content()), encoding="utf-8")
            beside.replace(self._file)
        except OSError as error:
            if not self._is_told:
                log.error("heartbeat_not_written", folder=str(self._folder), error=error.strerror)
            self._is_told = True
        else:
            self.written_at = time.monotonic()
            self._is_told = False


def beat(folder: Path | None, name: str, *, limit_s: float) -> None:
    """
    Begin to write the signs of life of this process, until it ends.

    Args:
        folder: `worker.heartbeat_dir`; None: nothing is written.
        name: Of the process; it has a file of that name.
        limit_s: How long the start may be deaf.
    """
    PULSE.expect({"start": limit_s})
    if folder is not None:
        BeatFile(folder, name, _signs_of_this_process).start()


def _signs_of_this_process() -> Mapping[str, object]:
    return {"pid": os.getpid(), "at": time.monotonic(), "signs": PULSE.signs()}
