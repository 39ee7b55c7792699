"""Where nobody traces, nothing is imported, stored or done."""

import subprocess
import sys

import pytest

from worker import tracing
from worker.errors import ConfigurationError
from worker.hopper.orders import Order, batch_of, payload
from worker.jobs import DialJob
from worker.settings import TracingSettings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_spans_are_nothing_and_jobs_have_no_trace() -> None:
    tracing.set_up(TracingSettings(), process="test")
    assert not tracing.is_on()
    with tracing.begin("x", kind="server", parent=TRACE) as first, tracing.span("y", parent=TRACE) as second:
        first.note({"a": 1}, name="z", failed=True)
        assert first is second
        tracing.past("w", parent=TRACE, began_at=1, ended_at=2)
        assert (tracing.current(), tracing.own()) == ("", "")
        assert "trace" not in payload(batch_of([Order(DialJob(extid="1", outto="5", pbx="hq"))]), 60)
    tracing.shut_down()


def test_nothing_of_it_is_imported() -> None:
    # redis-py by itself imports OpenTelemetry's SDK where it finds it, but sends nothing
    code = (
        "import sys, worker.process, worker.webhooks.process, producers.api.app\n"
        "print(sorted({'worker.tracing.otlp', 'opentelemetry.exporter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_endpoint_without_the_extra_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(ConfigurationError, match=r'^tracing.endpoint: .*pip install "outdial\[tracing\]"'):
        tracing.set_up(TracingSettings(endpoint="http://127.0.0.1:4318"), process="test")
    assert not tracing.is_on()


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        (TRACE, TRACE[3:35]),
        (TRACE[:-1] + "0", TRACE[3:35]),
        ("", ""),
        (TRACE.upper(), ""),
        (TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), ""),
        (TRACE.replace("00f067aa0ba902b7", "0" * 16), ""),
        ("01" + TRACE[2:], ""),
        (TRACE + "-more", ""),
        ("2025550143", ""),
    ],
)
def test_only_what_is_a_traceparent_counts_as_one(text: str, trace: str) -> None:
    assert tracing.trace_id(text) == trace
