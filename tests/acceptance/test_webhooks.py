"""Results brought to endpoints by real processes over real HTTPS, whatever state the endpoints are in."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from ops.children import children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation
from ops.pbx_simulator.certificate import Certificate, keep_certificate
from tests.integration.endpoints import TOKEN, Answer, Endpoint, Request, always, endpoint, hang, in_turn
from worker.hopper import Order
from worker.jobs import DialJob, JobState

OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return keep_certificate(tmp_path / "crm.tls", host="127.0.0.1")


@pytest.fixture
def site(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with installation(tmp_path, redis_server, namespace, hq=OPTIONS) as site:
        site.write_settings(**PATIENT)
        yield site


@contextmanager
def endpoints(site: Installation, certificate: Certificate, **answers: Answer) -> Iterator[dict[str, Endpoint]]:
    """Serve endpoints for the length of the block, and write them into the settings."""
    with ExitStack() as stack:
        served = {name: stack.enter_context(endpoint(certificate, answer)) for name, answer in answers.items()}
        blocks = [
            f'[webhook.{name}]\nurl = "{each.url}"\nsecret = "{SECRET}"\nca_file = "{each.ca_file}"\n'
            'allow_networks = ["127.0.0.0/8", "::1/128"]\ntimeout_s = 30\n'
            for name, each in served.items()
            if name != "source"
        ]
        if "source" in served:
            blocks.append(source_block(served["source"]))
        patience = (
            "\n[webhooks]\nretry_s = [0.1, 0.1, 0.2, 0.5, 1, 1, 1, 1]\nprobe_every_s = 0.1\nconcurrency = 8\n"
        )
        site.config.write_text(site.config.read_text() + patience + "".join(blocks))
        yield served


def source_block(served: Endpoint) -> str:
    """A source whose CRM is called with a template for the results of its own jobs."""
    return (
        '[source.sales]\nkind = "generic"\nauth = { kind = "none" }\nmap = { outto = "phone", extid = "ext" }\n'
        f'[source.sales.result]\nurl = "{served.url.partition("?")[0]}/{{{{ metadata.deal }}}}"\nmethod = "PUT"\n'
        '[source.sales.result.body]\nstate = "{{ state }}"\nseq = "{{ seq }}"\n'
        f'[webhooks.sources.sales]\nca_file = "{served.ca_file}"\nallow_networks = ["127.0.0.0/8", "::1/128"]\n'
    )


def put(site: Installation, count: int) -> list[str]:
    """Hand jobs in, the first of them as if by the hook of the source."""
    orders = [
        Order(
            DialJob(extid=str(1000 + n), outto=number(n), pbx="hq", metadata={"deal": str(n)}),
            origin="" if n else "hook:sales",
        )
        for n in range(count)
    ]
    return [receipt.id for receipt in site.hopper.put_orders(orders) if not isinstance(receipt, Exception)]


def number(n: int) -> str:
    return f"02055501{n:02d}"


def told(request: Request) -> dict[str, object]:
    """What a request tells, once its signature has been looked at as a receiver would."""
    event = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert event["type"] == f"dial_job.{event['data']['state']}"
    assert request.headers["webhook-id"].startswith(event["data"]["job_id"])
    return event["data"]


def test_results_arrive_signed_though_one_endpoint_fails_for_a_while_and_others_hang_or_lead_astray(
    site: Installation, certificate: Certificate
) -> None:
    astray = always(200)
    with (
        endpoint(certificate, astray) as inner,
        endpoints(
            site,
            certificate,
            flaky=in_turn(500, 500, 503, 500, 200),
            hangs=hang,
            redirects=always(302, Location=inner.url),
            gone=always(410),
            source=in_turn(503, 200),
        ) as served,
        site.workers(processes=1, concurrency=8),
    ):
        jobs = put(site, 30)
        results = {job: site.end_of(job) for job in jobs}
        assert Counter(result.state for result in results.values()) == {JobState.PLACED: 30}
        flaky = served["flaky"]
        eventually(lambda: len({told(request)["job_id"] for request in flaky.requests}) == 30)
        eventually(lambda: has_told_all(site, "flaky") and has_told_all(site, "source:sales"))
        gone = eventually(lambda: (view := site.hopper.endpoint("gone")).dead == 30 and view)

        shown = site.outdial("doctor").stdout
        # The one that hangs had its chance, and kept no more slots than one endpoint may have.
        assert 1 <= len(served["hangs"].requests) <= 4
        served["hangs"].ended.set()

    # What arrived is what the results are, and an attempt has the id of the one before it.
    for request in flaky.requests:
        told_now = told(request)
        assert told_now == results[str(told_now["job_id"])].plain() | {"seq": 1}
    assert len({request.headers["webhook-id"] for request in flaky.requests}) == 30
    # The CRM of a source hears of its own job, in its own way.
    calls = [(call.method, call.path, json.loads(call.body)) for call in served["source"].requests]
    assert calls == [("PUT", "/hook/0", {"state": "placed", "seq": 1})] * 2
    assert site.hopper.endpoint("redirects").last_error.startswith("HTTP 302")
    assert inner.requests == []
    assert gone.state == "disabled"
    assert len(served["gone"].requests) <= 4, "those that were under way"
    assert "endpoint gone: disabled" in shown
    log = site.worker_log.read_text()
    assert not [secret for secret in (TOKEN, SECRET[6:], *map(number, range(30))) if secret in log]


def test_a_killed_webhook_process_is_replaced_and_what_it_had_in_hand_is_told_again(
    site: Installation, certificate: Certificate
) -> None:
    first = [hang]

    def hang_once(handler: object, request: Request) -> tuple[int, dict[str, str]] | None:
        return first.pop()(handler, request) if first else (204, {})  # type: ignore[arg-type, func-returns-value]

    with endpoints(site, certificate, crm=hang_once) as served, site.workers(processes=1) as supervisor:
        crm = served["crm"]
        [job] = put(site, 1)
        eventually(lambda: len(crm.requests) == 1)
        [webhooks] = [pid for pid in children_of(supervisor.pid) if is_webhook_process(pid)]
        os.kill(webhooks, signal.SIGKILL)
        assert site.hopper.endpoint("crm").in_flight == 1
        # As if the lease of the dead had ended.
        site.hopper.client.zadd(site.hopper.keys.flying("crm"), {crm.requests[0].headers["webhook-id"]: 1})
        site.hopper.client.zadd(f"{site.namespace}:targets", {"crm": 1})
        eventually(lambda: len(crm.requests) == 2)
        eventually(lambda: site.hopper.endpoint("crm").in_flight == 0)

        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(timeout=GENEROUS_S) == 0

    one, two = crm.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert one.body == two.body
    assert told(two)["job_id"] == job
    assert site.hopper.endpoint("crm").state == "ok"


def has_told_all(site: Installation, name: str) -> bool:
    view = site.hopper.endpoint(name)
    return view.last_success > 0 and view.waiting == view.in_flight == view.dead == 0


def is_webhook_process(pid: int) -> bool:
    return b"producers.webhook_process" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_first_endpoint_that_a_reload_brings_is_told_of_results(
    site: Installation, certificate: Certificate
) -> None:
    without = site.config.read_text()
    with site.workers() as supervisor:
        [dialer] = children_of(supervisor.pid)
        with endpoints(site, certificate, crm=always(200)) as served:
            os.kill(supervisor.pid, signal.SIGHUP)
            eventually(lambda: any("webhooks" in one.process for one in site.hopper.settings_reports()))
            [job_id] = put(site, 1)
            [request] = eventually(lambda: served["crm"].requests)
            assert told(request)["job_id"] == job_id

            site.config.write_text(without)
            os.kill(supervisor.pid, signal.SIGHUP)
            eventually(lambda: len({one.version for one in site.hopper.settings_reports()}) == 1)
            assert dialer in children_of(supervisor.pid)
