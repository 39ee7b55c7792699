"""The click-to-dial page in a real browser: a real intake, a real worker and a simulated PBX behind it."""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ops.chaos.leaks import secret_of
from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation
from producers import apikeys
from producers.api.live import MOST_STREAMS
from producers.api.page import OPEN_PATHS
from tests.acceptance.browsing import GENEROUS_MS, running_browser
from worker.hopper import JobFilter, Order
from worker.jobs import DialJob, DialResult, RefusedJob

NUMBER = "+12025550143"
# What the page says of a live connection while no worker runs, as in most tests here.
STILL = "Not dialing: no worker is running"
HOSTILE = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"


@dataclass
class Intake:
    """A running intake, its installation, and all that it wrote."""

    site: Installation
    url: str
    log: Path
    process: "subprocess.Popen[str]"
    key_id: str = ""

    def key(self, *scopes: str, **more: int) -> str:
        """Return a new API key with some scopes, or all; `key_id` is that of the last one."""
        key, text = apikeys.create(
            self.site.hopper, self.site.settings, "page", scopes=scopes or apikeys.SCOPES, **more
        )
        self.key_id = key.id
        return text

    def jobs(self, extid: str) -> list[DialResult]:
        """Return the jobs of an extension."""
        return self.site.hopper.find(JobFilter(extids=(extid,)), most=20)[0]


@contextmanager
def running_intake(site: Installation, *, port: int = 0) -> Iterator[Intake]:
    log = site.folder / "api.log"
    command = [*site.outdial_command(), "api", "--port", str(port)]
    with (
        log.open("a") as out,
        child(command, stdout=subprocess.PIPE, stderr=out, env=site.environment) as process,
    ):
        assert process.stdout is not None
        yield Intake(site, json.loads(process.stdout.readline())["url"], log, process)


@pytest.fixture(autouse=True)
def collect_what_celery_leaves() -> None:
    """No client of Celery's in this process, so nothing to collect after each test."""


@pytest.fixture(scope="module")
def intake(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    options = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
    namespace = f"t{uuid.uuid4().hex[:12]}"
    with installation(tmp_path_factory.mktemp("page"), redis_server, namespace, hq=options) as site:
        site.write_settings('log_level = "debug"', **PATIENT)
        with running_intake(site) as intake:
            yield intake


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@dataclass
class Visit:
    """One person's browser, with nothing in it from before, and a note of all it asked for and complained of."""

    page: Page
    context: BrowserContext
    urls: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def enter(self, key: str) -> None:
        """Give the key as a person does."""
        self.page.get_by_label("API key", exact=True).fill(key)
        self.page.keyboard.press("Enter")

    def dial(self, extid: str, outto: str) -> None:
        """Fill in the form, without pressing Dial."""
        self.page.get_by_label("Extension", exact=True).fill(extid)
        self.page.get_by_label("Number to call").fill(outto)

    @property
    def rows(self) -> Any:
        """The jobs that are shown."""
        return self.page.locator(".row:not(.names)")


@pytest.fixture
def visit(browser: Browser, intake: Intake) -> Iterator[Visit]:
    with browser.new_context(base_url=intake.url) as context:
        context.set_default_timeout(GENEROUS_MS)
        visit = Visit(context.new_page(), context)
        visit.page.on("request", lambda request: visit.urls.append(request.url))
        visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        visit.page.on("console", lambda said: visit.complaints.append(said.text))
        visit.page.goto("/")
        yield visit


def policy_breaches(visit: Visit) -> list[str]:
    """What went wrong in the page itself; refusals of the server are noted by the browser too."""
    return [said for said in visit.complaints if not said.startswith("Failed to load resource")]


def test_a_call_is_seen_from_waiting_to_placed_without_reload(visit: Visit, intake: Intake) -> None:
    key = intake.key()
    visit.enter(key)
    expect(visit.page.get_by_text("No jobs yet")).to_be_visible()
    visit.page.evaluate("window.isTheSamePage = true")
    visit.dial("1002", NUMBER)
    visit.page.keyboard.press("Enter")
    row = visit.rows.first
    expect(row).to_contain_text("Waiting")
    expect(row).to_contain_text("1002")
    with intake.site.workers(concurrency=2):
        expect(row).to_contain_text("Placed")
    (ring,) = intake.site.pbxs["hq"].rings("1002")
    expect(row).to_contain_text(ring.callid)
    expect(visit.page.locator("#news")).to_contain_text(f"Extension 1002: Placed. {ring.callid}")
    assert visit.page.evaluate("window.isTheSamePage")
    # In this tab the key is asked for once; it and the number are in the form and the headers alone.
    visit.page.reload()
    expect(row).to_contain_text(ring.callid)
    kept = visit.page.evaluate("JSON.stringify({...sessionStorage})")
    assert (key in kept, visit.page.evaluate("JSON.stringify({...localStorage})").count(key)) == (True, 0)
    seen = "\n".join([*visit.urls, visit.page.evaluate("location.href"), intake.log.read_text()])
    assert (len(visit.urls) > 10, "request" in seen) == (True, True)
    for secret in (key, secret_of(key), NUMBER, NUMBER[1:], NUMBER[-8:]):
        assert secret not in seen
        assert secret not in kept.replace(key, "")
    assert visit.complaints == []


def test_what_keeps_jobs_from_being_dialed_is_shown_live(visit: Visit, intake: Intake) -> None:
    hopper, link, said = intake.site.hopper, visit.page.locator("#link"), visit.page.locator("#said")
    hopper.register("hq", intake.site.settings.pbx["hq"])
    hopper.heartbeat("w@page", slots=4, ttl_s=600)
    visit.enter(intake.key())
    expect(link).to_have_text("Live")
    visit.dial("1011", NUMBER)
    visit.page.keyboard.press("Enter")
    expect(said).to_have_text("Handed in: extension 1011 rings as soon as its turn comes.")
    row = visit.rows.first
    expect(row).to_contain_text("Waits for its turn")

    hopper.pause("hq")
    expect(row).to_contain_text("PBX hq is paused")
    expect(row).to_contain_text("`outdial resume hq` lifts that")
    expect(said).to_have_text(re.compile(r"Handed in: extension 1011 waits\. PBX hq is paused( \(since .*\))?\."))
    expect(link).to_have_text(re.compile(r"Not dialing: PBX hq is paused( \(since .*\))?"))
    hopper.resume("hq")
    expect(said).to_contain_text("rings as soon as its turn comes")

    hopper.heartbeat("w@page", slots=0, ttl_s=600)
    expect(link).to_have_text(STILL)
    expect(row).to_contain_text("No worker is running")
    expect(said).to_have_text("Handed in: extension 1011 waits. No worker is running.")
    assert policy_breaches(visit) == []


def test_a_remembered_key_is_there_in_the_next_tab_and_gone_when_forgotten(visit: Visit, intake: Intake) -> None:
    key = intake.key()
    visit.page.get_by_label("Remember on this computer").check()
    visit.enter(key)
    other = visit.context.new_page()
    other.goto("/docs")
    expect(other.get_by_role("heading", name="Hand in one job")).to_be_visible()
    visit.page.get_by_role("button", name="Forget key").click()
    expect(visit.page.get_by_label("API key", exact=True)).to_be_focused()
    expect(other.get_by_label("API key", exact=True)).to_be_visible()
    assert key not in visit.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


def test_a_wrong_field_is_told_beside_it_and_nothing_is_handed_in(visit: Visit, intake: Intake) -> None:
    visit.enter(intake.key())
    visit.dial("1003", "call me")
    button = visit.page.get_by_role("button", name="Dial")
    button.click()
    number = visit.page.get_by_label("Number to call")
    expect(number).to_be_focused()
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(number).to_have_accessible_description(re.compile("^Number 'call me' has letters in it; give digits. "))
    visit.dial("12ab", "")
    button.click()
    expect(visit.page.get_by_label("Extension", exact=True)).to_have_accessible_description(
        re.compile("^Extension '12ab' is invalid; expected 1 to 10 digits. ")
    )
    expect(visit.page.locator("#outto-error")).to_contain_text("Number is missing")
    assert intake.jobs("1003") == []
    assert policy_breaches(visit) == []


def test_a_double_click_is_one_job_and_a_later_press_another(visit: Visit, intake: Intake) -> None:
    # Pages that come by plain http have no crypto.randomUUID.
    visit.page.add_init_script("delete Crypto.prototype.randomUUID; delete Crypto.prototype.subtle")
    visit.page.clock.install(time=0)
    visit.page.goto("/")
    visit.enter(intake.key())
    visit.dial("1004", NUMBER)
    expect(visit.page.locator("#link")).to_have_text(STILL)
    visit.page.clock.pause_at(60_000)  # so that no press is a later one before the test says so
    button = visit.page.get_by_role("button", name="Dial")
    held: list[Any] = []
    is_held = True

    def hold(route: Any) -> None:
        if is_held:
            held.append(route)
        else:
            route.continue_()

    visit.page.route("**/v1/dial-jobs", hold)
    button.dblclick()
    while not held:
        visit.page.wait_for_timeout(10)
    is_held = False  # both presses came before any answer
    for route in held:
        route.continue_()
    expect(visit.page.get_by_text("Handed in:")).to_be_visible()
    button.click()
    expect(visit.page.get_by_text("it stays one job")).to_be_visible()
    assert len(intake.jobs("1004")) == 1
    visit.page.clock.fast_forward(4000)
    button.click()
    expect(visit.page.get_by_text("Handed in:")).to_be_visible()
    assert len(intake.jobs("1004")) == 2


def test_a_lost_reply_is_asked_for_again_and_stays_one_job(visit: Visit, intake: Intake) -> None:
    visit.enter(intake.key())
    lost: list[str] = []

    def lose_the_first(route: Any) -> None:
        lost.append(route.request.headers["idempotency-key"])
        if len(lost) == 1:
            assert route.fetch().status == 202
            route.abort()
        else:
            route.continue_()

    visit.page.route("**/v1/dial-jobs", lose_the_first)
    visit.dial("1005", NUMBER)
    visit.page.get_by_role("button", name="Dial").click()
    expect(visit.page.get_by_text("Handed in:")).to_be_visible()
    assert (len(lost), len(set(lost)), len(intake.jobs("1005"))) == (2, 1, 1)


def test_a_waiting_job_can_be_cancelled_by_keyboard(visit: Visit, intake: Intake) -> None:
    visit.enter(intake.key())
    visit.dial("1006", NUMBER)
    visit.page.keyboard.press("Enter")
    button = visit.page.get_by_role("button", name="Cancel the job of extension 1006")
    expect(button).to_be_visible()
    button.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.rows.first).to_contain_text("Cancelled")
    expect(button).to_have_count(0)
    assert [job.state for job in intake.jobs("1006")] == ["cancelled"]


def test_a_revoked_key_is_said_to_be_without_a_press(visit: Visit, intake: Intake) -> None:
    key = intake.key()
    visit.enter(key)
    expect(visit.page.locator("#link")).to_have_text(STILL)
    intake.site.hopper.revoke_key(intake.key_id)
    expect(visit.page.get_by_role("alert").filter(has_text="not known, or was revoked")).to_be_visible()
    expect(visit.page.get_by_label("API key", exact=True)).to_be_focused()
    assert key not in visit.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


def test_what_a_key_may_not_do_is_said(visit: Visit, intake: Intake) -> None:
    button = visit.page.get_by_role("button", name="Dial")
    visit.enter(intake.key("read"))
    expect(visit.page.get_by_text("This API key may look, but not dial")).to_be_visible()
    expect(button).to_be_disabled()
    visit.page.get_by_role("button", name="Forget key").click()
    visit.enter(intake.key("enqueue"))
    expect(visit.page.get_by_text("This key may dial, but not look")).to_be_visible()
    expect(button).to_be_enabled()
    visit.page.get_by_role("button", name="Forget key").click()
    visit.enter(intake.key(requests=2, window_s=60))  # the list and the PBXs
    expect(visit.page.locator("#link")).to_have_text(STILL)
    visit.dial("1010", NUMBER)
    button.click()
    expect(visit.page.get_by_role("alert").filter(has_text="too many requests. Try again in")).to_be_visible()
    assert intake.jobs("1010") == []


def test_hostile_texts_are_shown_and_never_run(visit: Visit, intake: Intake) -> None:
    metadata = {HOSTILE[:60]: HOSTILE, "__proto__": "p"}
    orders = [
        Order(RefusedJob("invalid_number", HOSTILE, pbx="hq", extid="1007", metadata=metadata), "hook:x"),
        Order(DialJob(extid="1008", outto="41000", pbx="hq", metadata=metadata)),
    ]
    intake.site.hopper.put_orders(orders)
    visit.enter(intake.key())
    refused = visit.rows.filter(has_text="1007")
    expect(refused).to_contain_text(HOSTILE)
    expect(visit.rows.filter(has_text="1008")).to_contain_text(HOSTILE)
    assert visit.page.locator(".jobs img, .jobs script").count() == 0
    assert visit.page.title() == "Dial · outdial"
    assert policy_breaches(visit) == []


def test_a_lost_connection_is_said_to_be_lost_and_taken_up_again(browser: Browser, intake: Intake) -> None:
    with browser.new_context() as context, running_intake(intake.site) as another:
        visit = Visit(context.new_page(), context)
        visit.page.route("**/v1/live", lambda route: route.abort())
        visit.page.goto(another.url)
        visit.enter(intake.key())
        link = visit.page.locator("#link")
        expect(link).to_contain_text("The connection is lost. Trying again in")
        visit.page.unroute("**/v1/live")
        visit.page.get_by_role("button", name="Try now").click()
        expect(link).to_have_text(STILL)
        another.process.terminate()
        # Streams end with the server: it need not wait for them, nor cut them off, which it would say in its log.
        another.process.wait(timeout=GENEROUS_S)
        expect(link).to_contain_text("Trying again in")
    assert "without completing response" not in intake.log.read_text()


def test_the_description_names_every_operation(visit: Visit, intake: Intake) -> None:
    key = intake.key()
    visit.enter(key)
    visit.page.get_by_role("link", name="Interface").click()
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.get(f"{intake.url}/openapi.json", headers=headers, timeout=GENEROUS_S)
    paths = answer.json()["paths"]
    assert "/v1/live" not in paths
    expect(visit.page.locator(".chapter")).to_have_count(sum(map(len, paths.values())))
    one = visit.page.locator("#post-v1-dial-jobs")
    for text in ("/v1/dial-jobs", "Idempotency-Key", "extid", "curl -X POST", "$OUTDIAL_KEY"):
        expect(one).to_contain_text(text)
    expect(one.locator("pre").first).to_contain_text('{"extid":"1002","outto":"41000"}')
    first = [chapter.locator("pre").first.text_content() or "" for chapter in visit.page.locator(".chapter").all()]
    assert [example for example in first if "null" in example] == [], "what can be typed as it stands"
    assert key not in visit.page.content()
    assert visit.complaints == []


# Contrast of every piece of text with what is behind it (WCAG 2.2, success criterion 1.4.3), names of all that can
# be operated (4.1.2), and whether the page is wider than its window (1.4.10).
LOOK = """() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = channels(getComputedStyle(element).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled")) continue;
    const pair = [light(channels(getComputedStyle(element).color)), light(behind(element))];
    if ((Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5) pale.push(walker.currentNode.data);
  }
  const nameless = [...document.querySelectorAll("input, select, button")].filter(
    (one) => one.checkVisibility() && !(one.labels?.length || one.textContent.trim()));
  const tooWide = document.documentElement.scrollWidth > window.innerWidth;
  return { pale, nameless: nameless.map((one) => one.outerHTML), tooWide };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_and_operated_on_a_phone(browser: Browser, intake: Intake, scheme: Any) -> None:
    long = {"a_long_name": "a-long-text-without-spaces" * 9}
    jobs = [RefusedJob("x", "y" * 90, extid="1009", metadata=long), DialJob(extid="1009", outto="1", pbx="hq")]
    intake.site.hopper.put_orders([Order(job) for job in jobs])
    window = {"width": 360, "height": 740}
    with browser.new_context(base_url=intake.url, color_scheme=scheme, viewport=window) as context:
        visit = Visit(context.new_page(), context)
        visit.page.goto("/")
        assert visit.page.evaluate(LOOK) == {"pale": [], "nameless": [], "tooWide": False}
        visit.enter(intake.key())
        expect(visit.rows.filter(has_text="Refused").first).to_be_visible()
        visit.page.get_by_role("button", name="Dial").click()
        expect(visit.page.locator("#outto-error")).to_be_visible()
        assert visit.page.evaluate(LOOK) == {"pale": [], "nameless": [], "tooWide": False}
        visit.page.goto("/docs")
        expect(visit.page.locator(".chapter").first).to_be_visible()
        assert visit.page.evaluate(LOOK) == {"pale": [], "nameless": [], "tooWide": False}


def test_pages_come_with_a_strict_policy_and_are_not_sent_twice(intake: Intake) -> None:
    with requests.Session() as session:
        for path in OPEN_PATHS:
            answer = session.get(intake.url + path, timeout=GENEROUS_S)
            assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
            policy = answer.headers["Content-Security-Policy"]
            for rule in (
                "default-src 'none'",
                "script-src 'self'",
                "frame-ancestors 'none'",
                "form-action 'none'",
            ):
                assert rule in policy
            known = {"If-None-Match": answer.headers["ETag"]}
            again = session.get(intake.url + path, headers=known, timeout=GENEROUS_S)
            assert (again.status_code, again.content) == (304, b"")
            head = session.head(intake.url + path, timeout=GENEROUS_S)
            assert head.headers["ETag"] == answer.headers["ETag"]


def test_nothing_but_the_pages_is_open(intake: Intake) -> None:
    with requests.Session() as session:
        for path in ("/static/", "/static/page.html", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/v1/live"):
            request = requests.Request("GET", intake.url).prepare()
            request.url = intake.url + path
            assert session.send(request, timeout=GENEROUS_S).status_code == 401, path


def test_so_many_may_look_at_once_and_the_next_is_told_to_come_later(intake: Intake) -> None:
    headers = {"Authorization": f"Bearer {intake.key('read')}"}

    def look() -> requests.Response:
        return requests.get(f"{intake.url}/v1/live", headers=headers, stream=True, timeout=GENEROUS_S)

    with ExitStack() as stack:
        lines = [stack.enter_context(look()).iter_lines() for _ in range(MOST_STREAMS)]
        assert {next(those) for those in lines} == {b"event: key"}
        with look() as refused:
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    # Whoever goes makes room.
    with eventually(lambda: (stream := look()).ok and stream) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
