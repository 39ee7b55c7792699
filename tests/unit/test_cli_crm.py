"""`outdial crm`: shows what payloads would become, with nothing running."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers.cli import cli

SETTINGS = """
redis_url = "redis://127.0.0.1:1/0"

[pbx.hq]
api = "yeastar-s-v1.0"
base_url = "https://127.0.0.1:9"
username = "api"
password = "s3cret"

[api]
public_url = "https://outdial.example"

[source.odoo]
kind = "generic"
preset = "odoo"
country = "US"
extensions = { 2 = "1002" }
priority = "urgent"
expires_in_s = 600
auth = { token = "made-up" }

[source.open]
kind = "generic"
methods = ["POST", "GET"]
auth = { kind = "none" }
map = { outto = "phone" }
when = "dial"

[source.monday]
kind = "generic"
preset = "monday"
auth = { token = "made-up" }
"""
LEAD = '{"_id": 9, "_model": "crm.lead", "phone": "2025550143", "user_id": 2, "write_date": "2026-11-23 09:51:02"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outdial.toml").write_text(SETTINGS)
    (tmp_path / "lead.json").write_text(LEAD)
    return tmp_path


def crm(folder: Path, *args: str, given: str | None = None) -> Result:
    result = CliRunner().invoke(cli, ["--config", str(folder / "outdial.toml"), "crm", *args], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_jobs_of_a_payload_are_shown_and_nothing_is_reached(folder: Path) -> None:
    shown = crm(folder, "try", "odoo", str(folder / "lead.json"), "--json")
    assert shown.exit_code == 0
    (job,) = json.loads(shown.stdout)["jobs"]
    assert job.pop("outto").endswith("2025550143")
    assert job == {
        "state": "waiting",
        "extid": "1002",
        "pbx": "hq",
        "priority": "urgent",
        "autoanswer": "no",
        "on_unknown": "hold",
        "key": "odoo:crm.lead:9:2026-11-23 09:51:02",
        "expires_in_s": 600,
        "metadata": {"model": "crm.lead", "id": "9"},
    }


def test_a_person_sees_the_same_line_by_line(folder: Path) -> None:
    shown = crm(folder, "try", "odoo", "-", given=LEAD).stdout
    assert "A job would be made:\n  extid        1002" in shown
    assert "metadata     " in shown


def test_what_would_be_refused_is_shown_with_the_reason(folder: Path) -> None:
    refused = crm(folder, "try", "odoo", "-", "--json", given='{"_id": 9, "user_id": 5, "phone": "2025550143"}')
    assert refused.exit_code == 2
    (job,) = json.loads(refused.stdout)["jobs"]
    assert (job["state"], job["errno"]) == ("refused", "unknown_user")
    assert "2025550143" not in refused.output


def test_what_is_passed_over_is_shown_with_the_reason(folder: Path) -> None:
    shown = crm(folder, "try", "open", "-", given='{"phone": "2025550143"}')
    assert shown.exit_code == 0
    assert "when is not so: dial" in shown.stdout
    assert "No job would be made" in shown.stdout


def test_the_proof_is_checked_if_wanted(folder: Path) -> None:
    right = ("try", "odoo", str(folder / "lead.json"), "--check-auth", "--target", "/hooks/odoo/made-up")
    assert crm(folder, *right).exit_code == 0
    wrong = crm(folder, *right[:-1], "/hooks/odoo/other")
    assert wrong.exit_code == 2
    assert "does not prove" in wrong.stderr


@pytest.mark.parametrize(
    ("args", "given", "sentence"),
    [
        (("try", "nope", "-"), "", "choose one of odoo, open, monday"),
        (("try", "odoo", "nowhere.json"), "", "nowhere.json: No such file"),
        (("try", "odoo", "-"), '{"a": 1, "a": 2}', "odoo: body: has a name twice"),
        (("try", "odoo", "-", "--header", "made up"), "", "expected 'Name: value'"),
        (("try", "odoo", "-", "--header", "Content-Type: text/xml; charset=x"), "<a/>", "charset"),
    ],
)
def test_what_cannot_be_tried_is_said_in_one_sentence(
    folder: Path, args: tuple[str, ...], given: str, sentence: str
) -> None:
    result = crm(folder, *args, given=given)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.startswith("outdial: ")


def test_sources_are_listed_with_what_to_think_about(folder: Path) -> None:
    listed = crm(folder, "list")
    assert "odoo" in listed.stdout
    assert "https://outdial.example/hooks/odoo" in listed.stdout
    assert "GET,POST" in listed.stdout
    assert "source.open.auth: is none" in listed.stderr
    assert "source.open.methods: has GET" in listed.stderr
    assert "made-up" not in listed.output
    rows = json.loads(crm(folder, "list", "--json").stdout)["sources"]
    assert [(row["name"], row["methods"]) for row in rows] == [
        ("odoo", ["POST"]),
        ("open", ["GET", "POST"]),
        ("monday", ["POST"]),
    ]
    assert rows[2]["handshake_methods"] == ["POST"]
    assert "(handshake: POST)" in listed.stdout


def test_a_method_is_tried_as_the_intake_would_take_it(folder: Path) -> None:
    as_link = ("try", "open", "-", "--method", "get", "--target", "/hooks/open?phone=2025550143&dial=1")
    assert "A job would be refused" in crm(folder, *as_link, given="").stdout  # it has no extension
    refused = crm(folder, "try", "odoo", "-", "--method", "GET", given=LEAD)
    assert refused.exit_code == 2
    assert "odoo: answers 405 to GET; send POST, or change its methods" in refused.stderr


def test_a_handshake_is_shown_with_its_answer(folder: Path) -> None:
    challenge = '{"challenge": "abc"}'
    shown = crm(folder, "try", "monday", "-", given=challenge)
    assert shown.exit_code == 0
    assert "It is a handshake: no job would be made" in shown.stdout
    assert 'body         {"challenge": "abc"}' in shown.stdout
    plain = json.loads(crm(folder, "try", "monday", "-", "--json", given=challenge).stdout)
    assert (plain["handshake"]["status"], plain["handshake"]["body"], plain["jobs"]) == (200, challenge, [])
    right = ("try", "monday", "-", "--check-auth", "--target", "/hooks/monday/made-up")
    assert crm(folder, *right, given=challenge).exit_code == 0
    assert "the token in the URL is wrong" in crm(folder, *right[:-1], "/hooks/monday/x", given=challenge).stderr


def test_a_challenge_without_a_handshake_in_the_settings_is_explained(folder: Path) -> None:
    refused = crm(folder, "try", "odoo", "-", given='{"challenge": "abc"}')
    assert refused.exit_code == 2
    assert 'this source has no handshake; add [source.odoo.handshake], like = "challenge"' in refused.stderr
    by_get = ("try", "odoo", "-", "--method", "GET", "--target", "/hooks/odoo?hub.mode=subscribe&hub.challenge=1")
    assert (
        "answers 405 to GET; send POST, or change its methods; the CRM sent"
        in crm(folder, *by_get, given="").stderr
    )
