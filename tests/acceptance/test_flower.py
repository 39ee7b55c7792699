"""Flower as operators see it: behind a proxy and a password, in a real browser, with every way a job can end."""

import json
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from ops.children import child, children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PASSWORD, PATIENT, Installation, eventually, installation
from tests.acceptance.browsing import GENEROUS_MS, running_browser
from worker.hopper import Order
from worker.jobs import DialJob, DialResult, RefusedJob

NUMBER = "0205550143"
LOGIN = ("operator", "flower-secret")
OVER = ("SUCCESS", "FAILURE", "REVOKED")
WORKER_ACTIONS = ("shutdown", "pool/restart", "pool/grow", "pool/shrink", "pool/autoscale", "queue/add-consumer")
TASK_ACTIONS = ("apply", "async-apply", "send-task", "abort", "timeout", "rate-limit", "revoke")


@dataclass
class Watched:
    """An installation whose jobs have all ended, and the Flower that saw it, by its own address and a proxy's."""

    site: Installation
    base: str = ""
    proxied: str = ""
    messages: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    results: dict[str, DialResult] = field(default_factory=dict)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.base + path, **({"auth": LOGIN, "timeout": GENEROUS_S} | options))

    def task(self, name: str) -> dict[str, Any]:
        """What Flower knows of a job; empty if nothing."""
        reply = self.get(f"api/task/info/{self.jobs[name]}")
        known: dict[str, Any] = reply.json() if reply.ok else {}
        return known

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may find on any page."""
        redis_password = self.site.server.url.rpartition("@")[0].rpartition(":")[2]
        return (NUMBER, NUMBER[1:], "2025550143", LOGIN[1], PASSWORD, redis_password)

    def put(self, name: str, extid: str, **fields: Any) -> str:
        job = DialJob(extid=extid, outto=NUMBER, pbx="hq", metadata={"phone": "+12025550143"}, **fields)
        self.jobs[name] = self.site.hopper.put(job).id
        return self.jobs[name]

    def end_all(self) -> None:
        self.results |= {name: self.site.end_of(job) for name, job in self.jobs.items()}


@contextmanager
def flower_of(site: Installation) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [*site.outdial_command(), "flower", "--port", "0"]
    with (
        (site.folder / "flower.log").open("a") as log,
        child(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process


@contextmanager
def proxy_to(base: str) -> Iterator[str]:
    """A reverse proxy as nginx is one: it passes `/flower/` on, with the host the browser asked for."""
    upstream = base.partition("/flower/")[0]

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name != "Connection"}
            reply = requests.request(
                self.command,
                upstream + self.path,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=GENEROUS_S,
            )
            self.send_response(reply.status_code)
            for name in ("Content-Type", "WWW-Authenticate", "Location", "Set-Cookie"):
                if name in reply.headers:
                    self.send_header(name, reply.headers[name])
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/flower/"
        server.shutdown()


def end_before_any_attempt(seen: Watched) -> None:
    hopper = seen.site.hopper.acting_as("anna@desk")
    hopper.pause()
    hopper.cancel(seen.put("cancelled", "1004"))
    seen.put("expired", "1005", expires_at=datetime.now(UTC) + timedelta(hours=1))
    refused = RefusedJob("do_not_call", "the number is on a list", extid="1006", pbx="hq")
    seen.jobs["refused"] = hopper.put_orders([Order(refused)])[0].id  # type: ignore[union-attr]
    seen.site.let_expire(seen.jobs["expired"])
    hopper.resume()


def kill_the_worker_of(seen: Watched, supervisor: int) -> None:
    """Kill all processes while the reply to one's request is outstanding."""
    eventually(lambda: seen.site.hopper.result(seen.jobs["killed"]).state == "claimed")
    for pid in children_of(supervisor):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def seen(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    options = ("--extensions", "1000-1099", "--ring-s", "0.1", "--talk-s", "0.2", "--log-level", "warning")
    namespace = f"t{uuid.uuid4().hex[:12]}"
    with installation(tmp_path_factory.mktemp("flower"), redis_server, namespace, hq=options) as site:
        settings = f'password = "{LOGIN[1]}", url_prefix = "flower", database = "flower.json", save_every_s = 1'
        site.write_settings(f"flower = {{ {settings} }}", **PATIENT)
        seen = Watched(site)
        with flower_of(site) as (seen.base, _), proxy_to(seen.base) as seen.proxied:
            end_before_any_attempt(seen)
            site.hopper.client.lpush(site.settings.queue, "message")
            seen.messages = seen.get("api/queues/length").json()["active_queues"][0]["messages"]
            site.hopper.client.delete(site.settings.queue)
            with site.workers(processes=2) as workers:
                pbx = site.pbxs["hq"]
                pbx.fault(kind="errno", errno="30001", extid="1002", times=2)
                pbx.fault(kind="drop_before_ring", extid="1003")
                pbx.fault(kind="drop_after_ring", extid="1007")
                for name, extid in {"placed": "1001", "failed": "1999", "retried": "1002"}.items():
                    seen.put(name, extid)
                seen.put("unknown", "1003")
                seen.put("adopted", "1007")
                seen.end_all()
                pbx.fault(kind="hang", extid="1008")
                seen.put("killed", "1008")
                kill_the_worker_of(seen, workers.pid)
                seen.end_all()
                eventually(lambda: all(seen.task(name).get("state") in OVER for name in seen.jobs))
                yield seen


@pytest.fixture(scope="module")
def page(seen: Watched) -> Iterator[Page]:
    login = {"username": LOGIN[0], "password": LOGIN[1]}
    with running_browser() as browser, browser.new_context(http_credentials=login) as context:  # type: ignore[arg-type]
        context.set_default_timeout(GENEROUS_MS)
        yield context.new_page()


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("placed", "SUCCESS", "placed with callid"),
        ("retried", "SUCCESS", "placed with callid"),
        ("adopted", "SUCCESS", "placed as outbound call"),
        ("failed", "FAILURE", "failed: 10006"),
        ("unknown", "FAILURE", "unknown: reply_lost"),
        ("killed", "FAILURE", "unknown: worker_lost"),
        ("cancelled", "REVOKED", "cancelled by anna@desk"),
        ("expired", "REVOKED", "expired"),
        ("refused", "REVOKED", "refused: do_not_call"),
    ],
)
def test_every_end_is_recognisable(seen: Watched, name: str, state: str, words: str) -> None:
    task, result = seen.task(name), seen.results[name]
    assert (task["state"], task["name"], task["retries"]) == (
        state,
        "worker.tasks.dial",
        max(0, result.attempts - 1),
    )
    assert words in task["result"]
    assert task["worker"].startswith("dialer")
    assert result.finished_at is not None
    ended_at = task["succeeded"] or task["failed"] or task["revoked"]
    assert abs(ended_at - result.finished_at.timestamp()) < 0.5
    assert task["sent"] == pytest.approx(result.enqueued_at.timestamp(), abs=0.01)
    assert task["sent"] <= task["received"] <= ended_at
    if state != "REVOKED":
        assert task["runtime"] > 0
        assert task["sent"] < task["started"] < ended_at
    if state == "FAILURE":
        assert task["exception"].startswith(("CallNotPlaced: failed: ", "CallOutcomeUnknown: unknown: "))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("result:unknown", {"unknown", "killed"}),
        ("result:cancelled", {"cancelled"}),
        ("state:FAILURE result:10006", {"failed"}),
        ("kwargs:extid=1002", {"retried"}),
        ("kwargs:pbx=branch", set()),
    ],
)
def test_jobs_are_found_by_what_became_of_them(seen: Watched, search: str, found: set[str]) -> None:
    assert set(seen.get("api/tasks", params={"search": search}).json()) == {seen.jobs[name] for name in found}


def test_each_retry_is_in_the_life_of_the_job_with_its_reason(seen: Watched) -> None:
    put_off = [reason for _, what, _, reason in seen.task("retried")["life"] if what in ("put off", "waiting")]
    assert put_off.count("30001") == 2
    assert [what for _, what, _, _ in seen.task("killed")["life"]][-2:] == ["doubted", "unknown"]


def test_an_operator_finds_jobs_by_id_in_a_browser_behind_a_proxy(seen: Watched, page: Page) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    visited = []
    for name, badge, words in (
        ("placed", "SUCCESS", str(seen.results["placed"].callid)),
        ("failed", "FAILURE", "failed: 10006"),
        ("cancelled", "REVOKED", "cancelled by anna@desk"),
        ("retried", "SUCCESS", str(seen.results["retried"].callid)),
    ):
        page.goto(f"{seen.proxied}tasks")
        page.locator("input[type=search]").fill(seen.jobs[name])
        rows = page.locator("#tasks-table tbody tr")
        expect(rows).to_have_count(1)
        for shown in (badge, words, "'pbx': 'hq'", "worker.tasks.dial"):
            expect(rows.first).to_contain_text(shown)
        visited.append(page.content())
        rows.first.get_by_role("link", name=seen.jobs[name]).click()
        expect(page.locator("#task-page")).to_contain_text(words)
        visited.append(page.content())
    expect(page.locator("#task-page")).to_contain_text("30001")
    assert page.locator("dt", has_text="Retries").locator("xpath=following-sibling::dd").inner_text() == "2"
    assert "ms" in page.locator("dt", has_text="Runtime").locator("xpath=following-sibling::dd").inner_text()
    for path in ("", "broker"):
        page.goto(seen.proxied + path)
        visited.append(page.content())
    assert complaints == []
    assert [url for url in asked if not url.startswith(seen.proxied)] == []
    for secret in seen.secrets:
        assert secret not in "".join(visited)


def test_no_number_and_no_secret_stands_anywhere(seen: Watched) -> None:
    workers = list(seen.get("api/workers?refresh=1").json())
    paths = [
        f"{kind}/{job}" for job in seen.jobs.values() for kind in ("task", "api/task/info", "api/task/result")
    ]
    paths += ["api/tasks", "api/workers", "metrics", *(f"worker/{name}" for name in workers)]
    shown = "".join(seen.get(path).text for path in paths)
    kept = (seen.site.folder / "flower.json").read_text() + (seen.site.folder / "flower.log").read_text()
    assert seen.jobs["placed"] in shown
    for secret in seen.secrets:
        assert secret not in shown + kept


def test_without_the_password_there_is_nothing_but_that_it_is_well(seen: Watched) -> None:
    for path in ("", "tasks", "metrics", "api/tasks", "api/workers", f"task/{seen.jobs['placed']}"):
        assert seen.get(path, auth=None).status_code == 401
        for guess in ("guess", "gue\u00df"):
            assert seen.get(path, auth=(LOGIN[0].encode(), guess.encode())).status_code == 401
    assert seen.get("healthcheck", auth=None).text == "OK"
    slashless = requests.get(seen.base.rstrip("/"), allow_redirects=False, timeout=GENEROUS_S)
    assert slashless.headers["Location"] == "/flower/"


def test_flower_takes_no_message_from_the_queue(seen: Watched) -> None:
    assert seen.messages == 1


def test_nothing_can_be_changed(seen: Watched) -> None:
    actions = [f"api/worker/{action}/any" for action in (*WORKER_ACTIONS, "queue/cancel-consumer")]
    actions += [f"api/task/{action}/worker.tasks.dial" for action in TASK_ACTIONS]
    for action in actions:
        refused = requests.post(seen.base + action, auth=LOGIN, json={"args": ["x"]}, timeout=GENEROUS_S)
        assert (action, refused.status_code) == (action, 403)


def test_a_killed_flower_knows_what_it_knew_and_what_it_missed(seen: Watched) -> None:
    site = seen.site
    with flower_of(site) as (base, process):
        old, seen.base = seen.base, base
        eventually(lambda: seen.task("placed"))
        process.kill()
        process.wait()
    missed = seen.put("missed", "1999")
    site.end_of(missed)
    with flower_of(site) as (seen.base, process):
        eventually(lambda: seen.task("missed").get("result") == "failed: 10006")
        assert seen.task("placed")["result"] == f"placed with callid {seen.results['placed'].callid}"
        assert seen.task("placed")["worker"].startswith("dialer")
        process.terminate()
        assert process.wait(GENEROUS_S) == 0
    seen.base = old
    saved = [json.loads(line)["uuid"] for line in Path(site.folder / "flower.json").read_text().splitlines()[1:]]
    assert set(seen.jobs.values()) == set(saved)
