"""
Traces: where a job was, and for how long, from the request that brought it to the PBX and back to the CRM.

Off unless the settings name a collector; then spans are sent by OTLP, from a thread of their own. While it is off
nothing is imported, stored or measured, and all of the functions below do nothing.

The trace of a job rides with its record as text, a `traceparent` (W3C Trace Context): `current` gives the one of
the work under way, "" where there is none, and whoever goes on with the job makes spans below it.
"""

import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol

from worker.extras import require_extra
from worker.settings import TracingSettings

Value = str | int | float | bool
Kind = Literal["internal", "server", "client", "producer", "consumer"]

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# A process that stops waits no longer for the last spans to be taken.
_LAST_S = 2.0


class Span(Protocol):
    """A piece of work under way, or nothing at all."""

    def note(self, attributes: Mapping[str, Value], *, name: str = "", failed: bool = False) -> None:
        """
        Add what became of it.

        Args:
            attributes: Names and values; texts are redacted, None is no value.
            name: A better name for the span.
            failed: It did not do what it was to do.
        """


class Tracer(Protocol):
    """What makes spans; see `worker.tracing.otlp`."""

    def span(
        self, name: str, *, kind: Kind, parent: str, began_at: float | None, attributes: Mapping[str, Value]
    ) -> AbstractContextManager[Span]:
        """Return a span for a block; a parent of "" is the current span, or none."""

    def current(self) -> str:
        """Return the current span as a traceparent, "" if there is none or it is not sampled."""

    def past(
        self, name: str, *, parent: str, began_at: float, ended_at: float, attributes: Mapping[str, Value]
    ) -> str:
        """Add a span that is over; returns it as a traceparent, "" if it is not sampled."""

    def close(self, *, within_s: float) -> None:
        """Send what is left, as far as that is done in time."""


class _Nothing:
    """The span where there is no trace."""

    def note(self, attributes: Mapping[str, Value], *, name: str = "", failed: bool = False) -> None:
        """Do nothing."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_NOTHING = _Nothing()
_tracer: Tracer | None = None


def set_up(settings: TracingSettings, *, process: str) -> None:
    """
    Trace from now on, if the settings name a collector; each process does this for itself.

    Args:
        settings: Where spans go, and how many.
        process: This process's name, for its spans.

    Raises:
        ConfigurationError: If the extra that traces is not installed.
    """
    global _tracer  # noqa: PLW0603 - as with the log, there is one for a process
    if settings.endpoint is None:
        return
    require_extra("tracing", "tracing.endpoint", otherwise="take the setting out")
    from worker.tracing.otlp import OtlpTracer  # noqa: PLC0415 - takes 100 ms, for those who trace only

    _tracer = OtlpTracer(settings, process)


def shut_down() -> None:
    """Send what is left, and trace no more; returns after two seconds at most."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.close(within_s=_LAST_S)


def is_on() -> bool:
    """Whether this process traces."""
    return _tracer is not None


def trace_id(traceparent: str) -> str:
    """Return the id of a trace, "" if the text is no traceparent."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def current() -> str:
    """Return the work under way as a traceparent, "" if it is not traced."""
    return "" if _tracer is None else _tracer.current()


def begin(
    name: str, attributes: Mapping[str, Value] | None = None, *, kind: Kind, parent: str = ""
) -> AbstractContextManager[Span]:
    """
    Return a span for a block, which may be the first of its trace.

    Args:
        name: What the block does.
        attributes: Names and values; texts are redacted.
        kind: What it is to the other side.
        parent: A traceparent that somebody sent; "" or nonsense begins a trace.
    """
    if _tracer is None:
        return _NOTHING
    known = parent if trace_id(parent) else ""
    return _tracer.span(name, kind=kind, parent=known, began_at=None, attributes=attributes or {})


def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    began_at: float | None = None,
) -> AbstractContextManager[Span]:
    """
    Return a span for a block, if there is a trace that it belongs to.

    Args:
        name: What the block does.
        attributes: As above.
        kind: As above.
        parent: The job's trace; None: that of the work under way.
        began_at: Unix seconds, if it began before the block.
    """
    if _tracer is None:
        return _NOTHING
    above = _tracer.current() if parent is None else parent
    if not trace_id(above):
        return _NOTHING
    inherited = "" if parent is None else parent
    return _tracer.span(name, kind=kind, parent=inherited, began_at=began_at, attributes=attributes or {})


def past(
    name: str, attributes: Mapping[str, Value] | None = None, *, parent: str, began_at: float, ended_at: float
) -> None:
    """
    Add a span that is over; times are unix seconds.

    Args:
        name: What was done, or waited for.
        attributes: As above.
        parent: The job's trace; nothing is added without one.
        began_at: When it began.
        ended_at: When it was over.
    """
    if _tracer is not None and trace_id(parent):
        _tracer.past(name, parent=parent, began_at=began_at, ended_at=ended_at, attributes=attributes or {})


def own() -> str:
    """
    Begin a trace for one job of many that come together, and return its traceparent; "" if it is not to be traced.

    Its first span, `enqueue`, is over at once. One trace for a whole import would be of no use to anybody.
    """
    if _tracer is None:
        return ""
    now = time.time()
    return _tracer.past("enqueue", parent="", began_at=now, ended_at=now, attributes={})
