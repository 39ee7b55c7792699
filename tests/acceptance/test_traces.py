"""One trace from whoever brought a job over worker and PBX back to the CRM, across real processes."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.chaos.leaks import secret_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation, log_lines
from ops.pbx_simulator.certificate import keep_certificate
from ops.ports import reserve_port
from producers import Dialer, apikeys
from tests.acceptance.intake import Client
from tests.integration.collector import Collector, Seen, collector
from tests.integration.endpoints import TOKEN, Endpoint, always, endpoint, hang
from worker.jobs import JobState

NUMBER, OTHER = "2025550143", "2025550144"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = CALLER.split("-")[1]


@dataclass
class Traced:
    """All that runs: an installation with intake and workers, its collector, and the CRM's endpoint."""

    site: Installation
    seen: Collector
    crm: Endpoint
    client: Client

    def whole(self, trace: str, *names: str) -> dict[str, Seen]:
        """Wait for a trace to have spans of these names; each occurs once."""
        spans = eventually(
            lambda: (found := self.seen.spans(trace)) and {*names} <= {span.name for span in found} and found
        )
        assert sorted(span.name for span in spans) == sorted(names)
        return {span.name: span for span in spans}


@pytest.fixture(scope="module")
def traced(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder: Path = tmp_path_factory.mktemp("traces")
    hq = ("--extensions", "1000-1099", "--ring-s", "0.1", "--talk-s", "600", "--log-level", "warning")
    with (
        collector() as seen,
        endpoint(keep_certificate(folder / "crm.tls", host="127.0.0.1"), always(200)) as crm,
        installation(folder, redis_server, f"traces-{folder.name}", hq=hq) as site,
    ):
        site.write_settings(**PATIENT)
        more = [f'[tracing]\nendpoint = "{seen.url}"\n[webhook.crm]\nurl = "{crm.url}"\nsecret = "{SECRET}"']
        more += [f'ca_file = "{crm.ca_file}"\nallow_networks = ["127.0.0.0/8", "::1/128"]\n']
        site.config.write_text("\n".join([site.config.read_text(), *more]))
        with site.workers(), site.api() as served:
            dialer = Dialer.from_config(site.config, actor="tests")
            _, key = apikeys.create(dialer.hopper, dialer.settings, "crm", scopes=apikeys.SCOPES)
            yield Traced(site, seen, crm, Client(served.url, key))
            dialer.hopper.client.close()


def test_one_trace_leads_from_the_crm_to_the_pbx_and_back(traced: Traced) -> None:
    accepted = traced.client.hand_in({"traceparent": CALLER}, extid="1001", outto=NUMBER, key="crm:1").json()
    result = traced.site.end_of(accepted["job_id"])
    spans = traced.whole(
        TRACE,
        "POST /v1/dial-jobs",
        "wait",
        "dial",
        "claim",
        "POST v1.0.0/extension/dial_outbound",
        "finish",
        "tell",
    )

    request, dial, post = spans["POST /v1/dial-jobs"], spans["dial"], spans["POST v1.0.0/extension/dial_outbound"]
    assert (request.parent, request.kind, request.process) == (CALLER.split("-")[2], "server", "api")
    assert {spans[name].parent for name in ("wait", "dial", "tell")} == {request.id}
    assert {spans[name].parent for name in ("claim", "finish", post.name)} == {dial.id}
    assert (dial.kind, dial.process, post.kind) == ("consumer", "dialer1", "client")
    assert (spans["tell"].kind, spans["tell"].process) == ("client", "webhooks1")
    assert (dial.attributes["outdial.job_id"], dial.attributes["outdial.outcome"]) == (result.job_id, "placed")
    assert post.attributes["url.path"] == "/api/v1.0.0/extension/dial_outbound"
    assert post.took_s <= dial.took_s
    # the CRM goes on with it
    [told] = [request for request in traced.crm.requests if accepted["job_id"] in request.headers["webhook-id"]]
    assert told.headers["traceparent"] == spans["tell"].traceparent
    # and the log leads there
    lines = [line for line in log_lines(traced.site.worker_log) if line.get("job_id") == result.job_id]
    assert {line.get("trace_id") for line in lines if line["event"] == "call_ended"} == {TRACE}


def test_a_lost_reply_shows_as_doubt_and_look(traced: Traced) -> None:
    traced.site.pbxs["hq"].fault(kind="drop_after_ring", extid="1002")
    accepted = traced.client.hand_in(
        {"traceparent": CALLER.replace("4b", "5c", 1)}, extid="1002", outto=OTHER
    ).json()
    assert traced.site.end_of(accepted["job_id"]).state is JobState.PLACED
    post = "POST v1.0.0/extension/dial_outbound"
    trace = TRACE.replace("4b", "5c", 1)
    spans = traced.whole(trace, "POST /v1/dial-jobs", "wait", "dial", "claim", post, "doubt", "look", "tell")
    assert (spans[post].is_error, spans[post].attributes["error.type"]) == (True, "OutcomeUnknown")
    assert spans["dial"].attributes["outdial.outcome"] == "in doubt"
    assert spans["look"].parent == spans["POST /v1/dial-jobs"].id
    assert spans["look"].attributes["outdial.verdict"] == "adopt"


def test_the_command_line_begins_a_trace_too(traced: Traced) -> None:
    done = traced.site.outdial("enqueue", "1003", NUMBER, "--wait", str(GENEROUS_S))
    assert done.returncode == 0, done.stderr
    [first] = eventually(lambda: [span for span in traced.seen.spans() if span.name == "enqueue"])
    assert (first.parent, first.process, first.kind) == ("", "cli", "producer")
    eventually(lambda: {"dial", "tell"} <= {span.name for span in traced.seen.spans(first.trace)})


def test_a_collector_that_is_away_is_nothing_to_whoever_hands_in_a_job(traced: Traced) -> None:
    away = {"OUTDIAL_TRACING__ENDPOINT": f"http://127.0.0.1:{reserve_port()}"}
    command = [*traced.site.outdial_command(), "enqueue", "1005", NUMBER, "--json"]
    environment = traced.site.environment | away
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout)["is_new"]
    assert done.stderr == ""


def test_no_trace_holds_a_number_a_token_or_a_secret(traced: Traced) -> None:
    job = traced.client.hand_in(extid="1004", outto=NUMBER).json()["job_id"]
    eventually(lambda: f"{job}".encode() in traced.seen.raw and b"tell" in traced.seen.raw)
    keys = traced.site.hopper.keys
    token = traced.site.hopper.client.hget(keys.token("hq"), "token")
    secrets = [
        NUMBER,
        OTHER,
        str(token),
        SECRET[6:],
        secret_of(traced.client.key),
        traced.site.environment["TEST_PBX_PASSWORD"],
    ]
    assert [secret for secret in (*secrets, TOKEN, "token=") if secret.encode() in traced.seen.raw] == []


def test_a_collector_that_hangs_holds_nothing_up(traced: Traced) -> None:
    asked = len(traced.seen.served.requests)
    traced.seen.answer(hang)
    jobs = [traced.client.hand_in(extid=str(1010 + n), outto=NUMBER).json()["job_id"] for n in range(30)]
    # given that both processes wait for the collector
    eventually(lambda: len(traced.seen.served.requests) >= asked + 2)
    jobs += [traced.client.hand_in(extid=str(1040 + n), outto=NUMBER).json()["job_id"] for n in range(30)]
    assert {traced.site.end_of(job).state for job in jobs} == {JobState.PLACED}
    # then it takes them again
    traced.seen.answer(always(200))
    traced.seen.served.ended.set()
