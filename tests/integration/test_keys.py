"""API keys by the command line: shown once, kept as a hash, refused once revoked."""

import json

import pytest

from ops.chaos.leaks import secret_of
from producers import Dialer, apikeys
from producers.apikeys import Credential
from tests.integration.conftest import Run
from worker.errors import InputRefused


def admitted(dialer: Dialer, text: str) -> bool:
    credential = Credential.of(text)
    assert credential is not None
    [admission] = dialer.hopper.admit([(credential.key_id, credential.digest)])
    return credential.opens(admission)


def test_a_key_is_shown_once_and_opens_until_it_is_revoked(run: Run, dialer: Dialer) -> None:
    made = json.loads(run("keys", "create", "crm", "--scope", "read", "--pbx", "hq", "--json").stdout)
    assert (made["name"], made["scopes"], made["pbxs"]) == ("crm", ["read"], ["hq"])
    assert admitted(dialer, made["key"])
    assert not admitted(dialer, made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b"))

    secret = secret_of(made["key"])
    stored = [str(dialer.hopper.client.hgetall(name)) for name in dialer.hopper.client.scan_iter("*apikey:*")]
    assert stored
    assert not any(secret in text for text in stored)
    assert secret not in run("keys", "list").stdout

    assert run("keys", "revoke", made["id"]).exit_code == 0
    assert not admitted(dialer, made["key"])
    assert "revoked" in run("keys", "list").stdout


def test_a_key_without_wishes_may_enqueue_and_read_everywhere(run: Run) -> None:
    made = run("keys", "create", "crm")
    assert made.stdout.startswith("outdial_")
    assert "enqueue, read on all PBXs" in made.stderr
    assert "all PBXs" in run("keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "a b"], "name: 'a b' is not right"),
        (["create", "crm", "--scope", "all"], "scope: 'all' is none; give enqueue, read, operate"),
        (["create", "crm", "--pbx", "nowhere"], "pbx: 'nowhere' is not in the settings"),
        (["create", "crm", "--requests", "0"], "requests: 0 is not right"),
        (["create", "crm", "--per", "0"], "per: 0 is not right"),
        (["revoke", "k"], "there is no API key 'k'"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_sentence(run: Run, arguments: list[str], sentence: str) -> None:
    refused = run("keys", *arguments)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert run("keys", "list", "--json").stdout.strip() == "[]"


def test_keys_of_one_name_may_replace_each_other(dialer: Dialer) -> None:
    first = apikeys.create(dialer.hopper, dialer.settings, "crm", scopes=["read"])
    second = apikeys.create(dialer.hopper, dialer.settings, "crm", scopes=["read"])
    assert first[0].id != second[0].id
    with pytest.raises(InputRefused):
        apikeys.create(dialer.hopper, dialer.settings, "crm", scopes=[])


@pytest.mark.parametrize("text", ["", "outdial_", "outdial_0123456789ab_short", "x" * 10_000, "outdial_é"])
def test_what_is_no_key_is_told_without_asking_anybody(text: str) -> None:
    assert Credential.of(text) is None
