"""`outdial webhooks` on the run's own Redis, and against a real endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from ops.pbx_simulator.certificate import keep_certificate
from producers import Dialer
from tests.integration.conftest import Run
from tests.integration.endpoints import Endpoint, endpoint, in_turn
from tests.integration.hopper.post import FAILED, Post
from tests.integration.hopper.stage import Stage
from worker.health import webhook_findings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def crm(config: str, tmp_path: Path) -> Iterator[Endpoint]:
    """An endpoint that takes the first event and refuses the next, named crm in the settings."""
    with endpoint(keep_certificate(tmp_path / "tls", host="127.0.0.1"), in_turn(204, 500)) as served:
        block = f'[webhook.crm]\nurl = "{served.url}"\nca_file = "{served.ca_file}"\nsecret = "{SECRET}"\n'
        file = Path(config)
        file.write_text(f'{file.read_text()}{block}allow_networks = ["127.0.0.0/8", "::1/128"]\n')
        yield served


@pytest.fixture
def dialer(crm: Endpoint, config: str) -> Dialer:
    """One that knows the endpoint."""
    return Dialer.from_config(config)


@pytest.fixture
def post(dialer: Dialer) -> Post:
    return Post(Stage(dialer.hopper, queue="unused"))


def test_an_endpoint_can_be_tried_at_once(crm: Endpoint, run: Run) -> None:
    good, bad = run("webhooks", "test", "crm"), run("webhooks", "test", "crm")

    assert (good.exit_code, good.stdout) == (0, "Endpoint crm: it answered HTTP 204.\n")
    failed = "it answered HTTP 500: it failed to handle the call; see its log"
    assert (bad.exit_code, bad.stdout) == (1, f"Endpoint crm: {failed}.\n")
    event = Webhook(SECRET).verify(crm.requests[0].body, dict(crm.requests[0].headers))
    assert event["type"] == "webhook.test"
    unknown = run("webhooks", "test", "nobody")
    assert (unknown.exit_code, "choose one of: crm" in unknown.stderr) == (2, True)


def test_endpoints_are_listed_with_what_holds_them_up(post: Post, dialer: Dialer, run: Run) -> None:
    post.announced()
    post.end(post.attempt(), FAILED)

    text = run("webhooks", "list")
    [plain] = json.loads(run("webhooks", "list", "--json").stdout)

    assert "crm: failing; 1 waiting, 0 in flight, 0 given up" in text.stdout
    assert "HTTP 500" in text.stdout
    assert (plain["state"], plain["failures"], plain["in_settings"]) == ("failing", 1, True)
    assert plain["next_at"].endswith("Z")
    [endpoint_now] = [line for line in doctor(dialer) if line[1] == "endpoint crm"]
    assert endpoint_now[0] == "warning"
    assert "HTTP 500" in endpoint_now[2]


def test_what_was_given_up_is_listed_and_replayed_once_its_endpoint_is_enabled(
    post: Post, dialer: Dialer, run: Run
) -> None:
    post.announced()
    post.announced(extid="1002")
    assert run("webhooks", "disable", "crm").stdout == "Endpoint crm is disabled.\n"
    post.dispatch()

    letters = [json.loads(line) for line in run("webhooks", "failed", "--json").stdout.splitlines()]
    assert [letter["target"] for letter in letters] == ["crm", "crm"]
    assert letters[0]["id"] in run("webhooks", "failed", "--endpoint", "crm").stdout
    refused = run("webhooks", "replay", letters[0]["id"])
    assert (refused.exit_code, "enable` comes first" in refused.stderr) == (1, True)
    assert ("warning", "endpoint crm") in [line[:2] for line in doctor(dialer)]

    enabled = run("webhooks", "enable", "crm")
    assert enabled.stdout.startswith("Endpoint crm is enabled.\n2 dead letters wait")
    one = run("webhooks", "replay", letters[0]["id"])
    rest = run("webhooks", "replay", "--endpoint", "crm")
    assert (one.exit_code, rest.stdout) == (0, "1 of 1 are tried again.\n")
    assert len(post.dispatch()) == 2
    assert run("webhooks", "replay", letters[0]["id"]).exit_code == 1


def test_an_endpoint_that_left_the_settings_is_shown_while_something_is_left_of_it(post: Post, run: Run) -> None:
    post.announced("old")

    assert "old (not in the settings any more): ok; 1 waiting" in run("webhooks", "list").stdout


@pytest.mark.parametrize(
    "words",
    [["replay"], ["replay", "x", "--endpoint", "crm"], ["enable", "nobody"], ["failed", "--endpoint", "x"]],
)
def test_what_cannot_be_meant_is_refused(crm: Endpoint, run: Run, words: list[str]) -> None:
    refused = run("webhooks", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("outdial: ")


def doctor(dialer: Dialer) -> list[tuple[str, str, str]]:
    findings = webhook_findings(dialer.hopper, dialer.settings)
    return [(finding.level, finding.subject, finding.text) for finding in findings]
