"""A collector of traces on loopback: what OTLP brings, decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire

from tests.integration.endpoints import Answer, Endpoint, always, endpoint


@dataclass(frozen=True)
class Seen:
    """One span as it came; ids are hex, the parent's is empty for the first of a trace."""

    name: str
    kind: str
    process: str
    trace: str
    id: str
    parent: str
    is_error: bool
    took_s: float
    attributes: dict[str, Any] = field(compare=False)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace}-{self.id}-01"


@dataclass
class Collector:
    """A server that takes OTLP over HTTP, as long as `answer` lets it."""

    served: Endpoint

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.served.port}"

    @property
    def raw(self) -> bytes:
        return b"".join(request.body for request in list(self.served.requests))

    def answer(self, answer: Answer) -> None:
        self.served.answer = answer

    def spans(self, trace: str = "") -> list[Seen]:
        """All spans, or those of one trace, in the order of their beginning."""
        found = []
        for request in list(self.served.requests):
            assert (request.path, request.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            for batch in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                facts = {pair.key: _value(pair.value) for pair in batch.resource.attributes}
                spans = [span for scope in batch.scope_spans for span in scope.spans]
                found += [(span.start_time_unix_nano, _seen(span, facts)) for span in spans]
        ordered = [span for _, span in sorted(found, key=lambda pair: pair[0])]
        return [span for span in ordered if trace in ("", span.trace)]


def _seen(span: Wire, facts: dict[str, Any]) -> Seen:
    return Seen(
        name=span.name,
        kind=Wire.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        process=str(facts["service.instance.id"]).split(".")[0],
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        is_error=span.status.code == 2,
        took_s=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        attributes={pair.key: _value(pair.value) for pair in span.attributes},
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, str(value.WhichOneof("value")))


@contextmanager
def collector() -> Iterator[Collector]:
    """Serve on a free port for the length of the block."""
    with endpoint(None, always(200)) as served:
        yield Collector(served)
