"""A clock of the Redis server that faults can set, where there is a C compiler to build it."""

import shutil
import struct
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("clock_shim.c")
_OFFSET: Final = struct.Struct("=q")


@dataclass(frozen=True, slots=True)
class _Step:
    """The clock was off by `by_s` from `began_at` to `ended_at` (unix seconds, real time)."""

    by_s: float
    began_at: float
    ended_at: float


class Clock:
    """
    Lets one server see another time of day.

    Args:
        folder: For the library and the file that holds the offset.
    """

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock-offset"
        self._library = folder / "clock-shim.so"
        self._steps: list[_Step] = []
        self._set(0)
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.can_be_set = compiler is not None and self._build(compiler)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the server must be started with."""
        if not self.can_be_set:
            return {}
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._offset)}

    def set_by(self, seconds: float) -> None:
        """Set the clock forward, or back where *seconds* are below 0; 0 sets it right again."""
        now = time.time()
        if self._steps and self._steps[-1].ended_at == float("inf"):
            last = self._steps.pop()
            self._steps.append(_Step(last.by_s, last.began_at, now))
        self._set(seconds)
        if seconds:
            self._steps.append(_Step(seconds, now, float("inf")))

    def real_time(self, at: float) -> float:
        """
        Return the real time at which the server wrote *at* (both in unix seconds).

        Steps are longer than a run, so no time of one can be taken for another.
        """
        for step in self._steps:
            if step.began_at - 1 <= at - step.by_s <= step.ended_at + 1:
                return at - step.by_s
        return at

    def _set(self, seconds: float) -> None:
        # Written in place: the server has the page mapped.
        with self._offset.open("r+b" if self._offset.exists() else "w+b") as file:
            file.write(_OFFSET.pack(round(seconds * 1e6)))

    def _build(self, compiler: str) -> bool:
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE), "-ldl"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
