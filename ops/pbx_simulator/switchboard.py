"""
Extensions and the calls on them: ringing, talking, ended. No I/O; time is injected.

    dial ──> ringing ──ring_s──> talking ──talk_s──> ended
        └──> failed  (busy or offline: the PBX says Success all the same, and nothing rings)
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ops.pbx_simulator import codes
from ops.pbx_simulator.codes import Refusal

REGISTERED: Final = "Registered"
BUSY: Final = "Busy"
UNAVAILABLE: Final = "Unavailable"
RINGING: Final = "Ringing"
# What a person may set by hand; Ringing only comes from a call.
SETTABLE_STATUSES: Final = (REGISTERED, BUSY, UNAVAILABLE)


class CallState(Enum):
    """Where a call stands."""

    RINGING = "ringing"
    TALKING = "talking"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(slots=True)
class Call:
    """
    One call; times are clock seconds, None until they happen.

    Attributes:
        callid: `epoch.sequence`.
        outboundid: The outbound leg's id, sequence + 1.
        failure: The extension's status that kept it from ringing (Busy or Unavailable), None if it rang.
    """

    callid: str
    outboundid: str
    extid: str
    outto: str
    began_at: float
    state: CallState = CallState.RINGING
    answered_at: float | None = None
    ended_at: float | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ExtensionChanged:
    """An extension's own status was set by hand."""

    extid: str
    status: str


class Switchboard:
    """
    The extensions of one PBX and the calls on them.

    Args:
        statuses: {extid: status}, each one of `SETTABLE_STATUSES`.
        no_outbound: Extensions that may not dial out.
        ring_s: From ringing to answered; an auto-answered phone picks up at once.
        talk_s: From answered to ended.
        busy_errno: Code for dialing a busy extension; empty for the real PBX's Success and silence.
        clock: Unix seconds; call ids carry them.
        observe: Told each `Call` when its state has changed, and each `ExtensionChanged`. Must not block.

    Attributes:
        rung: Calls whose phone rang, ever.
        failed: Calls accepted whose phone did not ring, ever.
        calls_max: Most calls open at one time, ever.
    """

    def __init__(
        self,
        statuses: Mapping[str, str],
        *,
        ring_s: float,
        talk_s: float,
        clock: Callable[[], float],
        observe: Callable[[Call | ExtensionChanged], None],
        no_outbound: Iterable[str] = (),
        busy_errno: str = "",
    ) -> None:
        self._statuses = dict(statuses)
        self._no_outbound = frozenset(no_outbound)
        self._ring_s = ring_s
        self._talk_s = talk_s
        self._busy_errno = busy_errno
        self._clock = clock
        self._observe = observe
        self._open: dict[str, Call] = {}
        # (due, turn, call): what happens next to each call. Calls hung up early are skipped when due.
        self._due: list[tuple[float, int, Call]] = []
        self._turns = itertools.count()
        self._epoch = int(clock())
        # A run starts its sequence from the time in 0.1 ms, so a process restarted within one second cannot hand
        # out an id of its forerunner: that would take 5,000 dials a second of two numbers each.
        self._sequence = int(clock() * 10_000) % 1_000_000_000
        self.rung = 0
        self.failed = 0
        self.calls_max = 0

    def dial(self, extid: str, outto: str, *, auto_answer: bool) -> Call:
        """
        Start a call and return it, RINGING if the phone rings and FAILED if it stays silent.

        Raises:
            Refusal: 10006, 100024, or `busy_errno` for a busy extension; nothing rang.
        """
        self.advance()
        if extid not in self._statuses:
            raise Refusal(codes.NO_SUCH_EXTENSION)
        if extid in self._no_outbound:
            raise Refusal(codes.NO_OUTBOUND)
        obstacle = self._obstacle(extid)
        if obstacle == BUSY and self._busy_errno:
            raise Refusal(self._busy_errno)
        call = self._new_call(extid, outto)
        if obstacle:
            self._fail(call, obstacle)
        else:
            self._ring(call, answer_at=call.began_at + (0.0 if auto_answer else self._ring_s))
        return call

    def advance(self) -> None:
        """Let everything happen that is due by now."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            due, _, call = heapq.heappop(self._due)
            if call.state is CallState.RINGING:
                self._answer(call, due)
            elif call.state is CallState.TALKING:
                self._end(call, due)

    def next_due(self) -> float | None:
        """Return when `advance` next has something to do, in clock seconds; None if nothing is under way."""
        return self._due[0][0] if self._due else None

    def statuses(self) -> dict[str, str]:
        """Return {extid: status as `extensionlist/query` shows it}."""
        self.advance()
        return {extid: self._status(extid) for extid in self._statuses}

    def set_status(self, extid: str, status: str) -> None:
        """
        Set an extension's own status, one of `SETTABLE_STATUSES`; a call it is on goes on.

        Raises:
            Refusal: 10006.
        """
        self.advance()
        if extid not in self._statuses:
            raise Refusal(codes.NO_SUCH_EXTENSION)
        self._statuses[extid] = status
        self._observe(ExtensionChanged(extid, status))

    def open_calls(self) -> list[Call]:
        """Return the calls ringing or talking now, oldest first."""
        self.advance()
        return list(self._open.values())

    def hang_up_extension(self, extid: str) -> None:
        """
        End the extension's call.

        Raises:
            Refusal: 10006, or 10007 if it has none.
        """
        self.advance()
        if extid not in self._statuses:
            raise Refusal(codes.NO_SUCH_EXTENSION)
        self._hang_up(self._open.get(extid))

    def hang_up_outbound(self, outboundid: str) -> None:
        """
        End the call with that outbound leg, which exists once the extension has answered.

        Raises:
            Refusal: 10007.
        """
        talking = (call for call in self.open_calls() if call.state is CallState.TALKING)
        self._hang_up(next((call for call in talking if call.outboundid == outboundid), None))

    def drop_calls(self) -> None:
        """Forget all calls without a word, as a PBX that loses power does."""
        for call in self._open.values():
            call.state = CallState.ENDED
        self._open.clear()
        self._due.clear()

    def _obstacle(self, extid: str) -> str | None:
        status = self._status(extid)
        if status == REGISTERED:
            return None
        return UNAVAILABLE if status == UNAVAILABLE else BUSY

    def _status(self, extid: str) -> str:
        call = self._open.get(extid)
        if call is None:
            return self._statuses[extid]
        return RINGING if call.state is CallState.RINGING else BUSY

    def _new_call(self, extid: str, outto: str) -> Call:
        now = self._clock()
        # Never back: a clock set back an hour must not bring old ids round again.
        self._epoch = max(self._epoch, int(now))
        self._sequence += 2
        return Call(
            callid=f"{self._epoch}.{self._sequence}",
            outboundid=f"{self._epoch}.{self._sequence + 1}",
            extid=extid,
            outto=outto,
            began_at=now,
        )

    def _ring(self, call: Call, *, answer_at: float) -> None:
        self.rung += 1
        self._open[call.extid] = call
        self.calls_max = max(self.calls_max, len(self._open))
        heapq.heappush(self._due, (answer_at, next(self._turns), call))
        self._observe(call)

    def _fail(self, call: Call, status: str) -> None:
        self.failed += 1
        call.state, call.failure, call.ended_at = CallState.FAILED, status, call.began_at
        self._observe(call)

    def _answer(self, call: Call, at: float) -> None:
        call.state, call.answered_at = CallState.TALKING, at
        heapq.heappush(self._due, (at + self._talk_s, next(self._turns), call))
        self._observe(call)

    def _hang_up(self, call: Call | None) -> None:
        if call is None:
            raise Refusal(codes.NO_SUCH_CALL)
        self._end(call, self._clock())

    def _end(self, call: Call, at: float) -> None:
        call.state, call.ended_at = CallState.ENDED, at
        del self._open[call.extid]
        self._observe(call)
