"""Spans as they reach a collector, and what becomes of them where it takes none."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import structlog
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.integration.collector import Collector, collector
from tests.integration.endpoints import always, hang
from worker import tracing
from worker.hopper.orders import Order, batch_of, payload
from worker.jobs import DialJob
from worker.settings import TracingSettings
from worker.tracing.otlp import OtlpTracer, _Telling

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
JOB = DialJob(extid="1001", outto="2025550143", pbx="hq")

Start = Callable[..., None]


@pytest.fixture
def seen() -> Iterator[Collector]:
    with collector() as served:
        yield served


@pytest.fixture
def start(seen: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Trace to the collector; what is left is sent by `tracing.shut_down`."""
    monkeypatch.setattr(tracing, "_LAST_S", 60)
    yield lambda ratio=1.0: tracing.set_up(
        TracingSettings(endpoint=seen.url, sample_ratio=ratio), process="dialer1.7@host"
    )
    tracing.shut_down()


def test_a_job_bears_the_trace_of_the_work_that_brought_it(start: Start, seen: Collector) -> None:
    start()
    with tracing.begin("POST", kind="server", parent=TRACE):
        order = Order(JOB)
        assert f'"trace","{order.trace}"' in payload(batch_of([order]), 60)
        rows = [Order(JOB, trace=tracing.own()) for _ in range(2)]
    tracing.shut_down()
    [request] = seen.spans(TRACE[3:35])
    assert (request.traceparent, request.parent) == (order.trace, TRACE[36:52])
    # of many that come together each has its own
    assert len({tracing.trace_id(each.trace) for each in (order, *rows)}) == 3
    assert [span.name for span in seen.spans() if span.traceparent in (rows[0].trace, rows[1].trace)] == [
        "enqueue"
    ] * 2


@pytest.mark.parametrize("parent", ["", "nonsense", TRACE.upper()])
def test_nonsense_begins_a_trace(start: Start, seen: Collector, parent: str) -> None:
    start()
    with tracing.begin("POST", kind="server", parent=parent):
        pass
    tracing.shut_down()
    [span] = seen.spans()
    assert span.parent == ""
    assert span.trace != TRACE[3:35]


def test_only_what_is_traced_has_spans_below_it(start: Start, seen: Collector) -> None:
    start()
    with tracing.span("POST v1.0.0/login"), tracing.span("dial", parent=""), tracing.span("x", parent="spoiled"):
        assert tracing.current() == ""
    tracing.past("wait", parent="", began_at=1, ended_at=2)
    tracing.shut_down()
    assert seen.spans() == []


@pytest.mark.parametrize(("ratio", "parent"), [(0.0, ""), (0.0, TRACE), (1.0, TRACE[:-1] + "0")])
def test_what_is_not_sampled_leaves_nothing(start: Start, seen: Collector, ratio: float, parent: str) -> None:
    start(ratio)
    with tracing.begin("POST", kind="server", parent=parent), tracing.span("inner"):
        assert Order(JOB).trace == ""
    tracing.shut_down()
    assert seen.spans() == []


def test_nothing_secret_gets_into_a_span(start: Start, seen: Collector) -> None:
    start()

    def fails() -> None:
        attributes = {"why": "+1 202 555 0143", "url": "https://x/?token=hunter2"}
        with tracing.begin("GET", attributes, kind="server") as span:
            span.note({"job": "6f0e2a0c-7d5b-4f0e-9a57-123456789012", "errno": "10008", "count": 7})
            raise ValueError("token=hunter2 of 2025550143")

    with pytest.raises(ValueError, match="hunter2"):
        fails()
    tracing.shut_down()
    [seen_span] = seen.spans()
    assert seen_span.is_error
    assert seen_span.attributes == {
        "why": "+x xxx xxx xx43",
        "url": "https://x/?token=***",
        "job": "6f0e2a0c-7d5b-4f0e-9a57-123456789012",
        "errno": "10008",
        "count": 7,
        "error.type": "ValueError",
    }
    assert b"hunter2" not in seen.raw


def test_a_collector_that_hangs_keeps_nobody_waiting(seen: Collector) -> None:
    seen.answer(hang)
    tracer = OtlpTracer(TracingSettings(endpoint=seen.url), "dialer1.7@host")
    # more than can wait: nobody is held up, and what finds no room is dropped
    for _ in range(6000):
        with tracer.span("dial", kind="consumer", parent=TRACE, began_at=None, attributes={}):
            pass
    tracer.close(within_s=0.1)
    assert not seen.served.ended.is_set()
    # What is still under way ends here: its log line would stand in the output of some other test.
    seen.answer(always(200))
    seen.served.ended.set()
    for thread in threading.enumerate():
        if thread.name == "last-traces":
            thread.join()


class Scripted(SpanExporter):
    """Succeeds and fails as told."""

    def __init__(self, *outcomes: SpanExportResult) -> None:
        self.outcomes = list(outcomes)

    def export(self, spans: Sequence[object]) -> SpanExportResult:
        assert not spans
        return self.outcomes.pop(0)


def test_a_collector_that_takes_nothing_is_told_of_once_and_so_is_its_return() -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    exporter = _Telling(Scripted(good, bad, bad, good, good, bad))
    with structlog.testing.capture_logs() as lines:
        for _ in range(6):
            exporter.export([])
    assert [line["event"] for line in lines] == ["traces_unsent", "traces_sent_again", "traces_unsent"]
