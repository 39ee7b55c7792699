"""Spans by OpenTelemetry, sent by OTLP over HTTP; imported only where the settings name a collector."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from worker.masking import safe
from worker.settings import TracingSettings
from worker.tracing import Kind, Span, Value

log = structlog.get_logger()

_KINDS: Mapping[Kind, trace.SpanKind] = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
}
# What waits to be sent: about 4 MB. Where the collector does not keep up, further spans are dropped.
_MOST_WAITING, _MOST_AT_ONCE = 4096, 512
_SEND_EVERY_MS = 1000
# One sending, with its repeats.
_SEND_WITHIN_S = 5.0


class OtlpTracer:
    """
    Makes spans and sends them from a thread of its own; see `worker.tracing.Tracer`.

    Nothing here waits for the collector: spans that find no room are dropped.

    Args:
        settings: Where to, and how many.
        process: This process's name.
    """

    def __init__(self, settings: TracingSettings, process: str) -> None:
        assert settings.endpoint is not None, "set_up makes none without an endpoint"
        # Its lines, some for each try, say what `traces_unsent` says once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        facts = {"service.name": settings.service_name, "service.version": version("outdial")}
        share = TraceIdRatioBased(settings.sample_ratio)
        self._provider = TracerProvider(
            resource=Resource.create({**facts, "service.instance.id": process}),
            # A caller's wish to be traced counts no more than our own share: callers need no key for it.
            sampler=ParentBased(share, remote_parent_sampled=share),
            shutdown_on_exit=False,
        )
        sending = OTLPSpanExporter(endpoint=f"{settings.endpoint.rstrip('/')}/v1/traces", timeout=_SEND_WITHIN_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Telling(sending),
                max_queue_size=_MOST_WAITING,
                max_export_batch_size=_MOST_AT_ONCE,
                schedule_delay_millis=_SEND_EVERY_MS,
            )
        )
        self._tracer = self._provider.get_tracer("outdial", version("outdial"))

    @contextmanager
    def span(
        self, name: str, *, kind: Kind, parent: str, began_at: float | None, attributes: Mapping[str, Value]
    ) -> Iterator[Span]:
        """See `worker.tracing.Tracer.span`."""
        made = self._tracer.start_span(
            name,
            _context_of(parent) if parent else None,
            kind=_KINDS[kind],
            attributes=_shown(attributes),
            start_time=None if began_at is None else _nanoseconds(began_at),
        )
        # The SDK's own way would write the texts of errors into the span.
        with trace.use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield _OtlpSpan(made)
            except BaseException as error:
                made.set_status(trace.StatusCode.ERROR)
                made.set_attribute("error.type", type(error).__name__)
                raise

    def current(self) -> str:
        """See `worker.tracing.Tracer.current`."""
        return _text_of(trace.get_current_span())

    def past(
        self, name: str, *, parent: str, began_at: float, ended_at: float, attributes: Mapping[str, Value]
    ) -> str:
        """See `worker.tracing.Tracer.past`."""
        above = _context_of(parent) if parent else contexts.Context()
        made = self._tracer.start_span(
            name, above, attributes=_shown(attributes), start_time=_nanoseconds(began_at)
        )
        made.end(_nanoseconds(max(began_at, ended_at)))
        return _text_of(made)

    def close(self, *, within_s: float) -> None:
        """See `worker.tracing.Tracer.close`; the provider itself would wait for half a minute."""
        ending = threading.Thread(target=self._provider.shutdown, name="last-traces", daemon=True)
        ending.start()
        ending.join(within_s)


class _OtlpSpan:
    def __init__(self, made: trace.Span) -> None:
        self._made = made

    def note(self, attributes: Mapping[str, Value], *, name: str = "", failed: bool = False) -> None:
        """See `worker.tracing.Span`."""
        self._made.set_attributes(_shown(attributes))
        if name:
            self._made.update_name(name)
        if failed:
            self._made.set_status(trace.StatusCode.ERROR)


class _Telling(SpanExporter):
    """An exporter that tells once that the collector takes nothing, and once that it does again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_told = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans."""
        began = time.monotonic()
        outcome = self._exporter.export(spans)
        if outcome is SpanExportResult.FAILURE and not self._is_told:
            log.warning("traces_unsent", spans=len(spans), after_s=round(time.monotonic() - began, 1))
            self._is_told = True
        elif outcome is SpanExportResult.SUCCESS and self._is_told:
            log.info("traces_sent_again")
            self._is_told = False
        return outcome

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()


def _context_of(traceparent: str) -> contexts.Context:
    _, trace_id, span_id, flags = traceparent.split("-")
    above = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16) & 1))  # noqa: FBT003 - it is remote
    return trace.set_span_in_context(trace.NonRecordingSpan(above), contexts.Context())


def _text_of(made: trace.Span) -> str:
    known = made.get_span_context()
    if not known.is_valid or not known.trace_flags.sampled:
        return ""
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-01"


def _shown(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name: safe(value) if isinstance(value, str) else value for name, value in attributes.items()}


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)
