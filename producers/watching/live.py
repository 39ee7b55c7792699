"""One picture after the other, until `q` or Ctrl-C; the terminal is left as it was found."""

import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from producers.watching.frame import Away, frame
from producers.watching.scene import Scene
from worker.errors import ServiceUnreachable

Look = Callable[[], Scene]
# The picture is drawn anew at least so often: for a terminal that changed its size, and the time Redis is away.
_REDRAW_S = 1.0
_GLIMPSE_S = 0.1
_REST = 4
# A look takes milliseconds, the first one half a second.
_SILENCE_S = 3.0
_QUIT = b"qQ"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look found; `away_since` is by the monotonic clock."""

    scene: Scene | None = None
    away_since: float | None = None
    sentence: str = ""
    broken: Exception | None = None


class _Asking(threading.Thread):
    """Takes a look every so often, and lives through a Redis that does not answer; no picture waits for it."""

    def __init__(self, look: Look, interval_s: float) -> None:
        super().__init__(name="watch", daemon=True)
        self._look = look
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._asked_at: float | None = None
        self.seen = _Seen()

    def run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            self.seen = self._see()
            # Of thousands of PBXs a look takes its time, which Redis has for the dialing first.
            self._stopped.wait(max(self._interval_s, _REST * (time.monotonic() - began)))

    def away(self) -> Away | None:
        """Return whether Redis does not answer now."""
        seen, asked_at, now = self.seen, self._asked_at, time.monotonic()
        if seen.away_since is not None:
            return Away(now - seen.away_since, seen.sentence)
        if asked_at is not None and now - asked_at > _SILENCE_S:
            return Away(now - asked_at, "Redis keeps the connection and has not answered yet")
        return None

    def _see(self) -> _Seen:
        last = self.seen
        self._asked_at = time.monotonic()
        try:
            return _Seen(self._look())
        except ServiceUnreachable as away:
            return _Seen(last.scene, last.away_since or time.monotonic(), str(away))
        except Exception as error:  # noqa: BLE001  a thread's outermost edge: whoever draws raises it
            return _Seen(last.scene, broken=error)
        finally:
            self._asked_at = None

    def stop(self) -> None:
        self._stopped.set()


def watch(look: Look, *, interval_s: float, console: Console) -> None:
    """
    Show how things stand until somebody presses q or Ctrl-C, or this process is told to end.

    Args:
        look: Asks how things stand now; raises ServiceUnreachable where Redis does not answer.
        interval_s: Seconds between two looks.
        console: A terminal.
    """
    asking = _Asking(look, interval_s)
    screen = Live(console=console, screen=True, auto_refresh=False)
    with suppress(KeyboardInterrupt), _ended_by_a_signal(), _keys() as quit_pressed, screen as live:
        asking.start()
        _show(live, asking, interval_s, quit_pressed)
    asking.stop()


def _show(live: Live, asking: _Asking, interval_s: float, quit_pressed: Callable[[float], bool]) -> None:
    shown, drawn_at = None, 0.0
    while not quit_pressed(_GLIMPSE_S):
        seen, now = asking.seen, time.monotonic()
        if seen.broken:
            raise seen.broken
        if seen is not shown or now - drawn_at >= _REDRAW_S:
            _draw(live, seen, asking.away(), interval_s)
            shown, drawn_at = seen, now


def _draw(live: Live, seen: _Seen, away: Away | None, interval_s: float) -> None:
    width, height = live.console.size
    live.update(frame(seen.scene, width=width, height=height, interval_s=interval_s, away=away), refresh=True)


@contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Let SIGTERM end a watch as Ctrl-C does, so that the terminal is put right."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give a function that waits so many seconds and says whether q was pressed; never without a keyboard."""
    if not sys.stdin.isatty():
        yield _wait
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def quit_pressed(wait_s: float) -> bool:
        ready, _, _ = select.select([keyboard], [], [], wait_s)
        return bool(ready) and any(key in _QUIT for key in os.read(keyboard, 64))

    try:
        tty.setcbreak(keyboard)
        _ignore_ctrl_z(keyboard)
        yield quit_pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _ignore_ctrl_z(keyboard: int) -> None:
    """A stopped watch would leave its picture, and no cursor, to the shell."""
    attributes = termios.tcgetattr(keyboard)
    attributes[6][termios.VSUSP] = bytes([os.fpathconf(keyboard, "PC_VDISABLE")])
    termios.tcsetattr(keyboard, termios.TCSANOW, attributes)


def _wait(wait_s: float) -> bool:
    time.sleep(wait_s)
    return False
