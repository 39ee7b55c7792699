"""The Redis users of `ops/redis` have the commands that are used, and no others; and how their file is made."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from worker.hopper.connection import FURTHER, SHARED

FOLDER = Path(__file__).parents[2] / "ops" / "redis"
STEPS = files("worker.hopper") / "scripts"
CALL = re.compile(r"redis\.p?call\('([A-Z]+)'")
# What processes send beside the steps: to connect, to sleep and wake, to look (worker.hopper.looking), by Celery.
CONNECTING = {"ping", "select", "client|setinfo"}
LISTENING = {"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "publish"}
STEPPING = {"eval", "evalsha", "time"}
LOOKING = {"info", "lrange", "hgetall", "smembers", "zrange", "xrange"}
# kombu 5.7 and Celery's Redis backend: queues and their bindings, replies to `inspect`, results.
CELERY = {"multi", "exec", "brpop", "script|load", "script|exists", "zrangebyscore", "pexpire", "setex"}


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    for name in ("worker", "intake", "flower", "results"):
        (tmp_path / name).write_text(f"password of {name}\n")
    return tmp_path


def users(folder: Path, *more: str) -> dict[str, list[str]]:
    """Return {user: rules} as Redis would read them."""
    command = ["sh", str(FOLDER / "users.sh"), str(folder), *more]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert all(line.startswith("user ") for line in lines), "an ACL file knows nothing else"
    return {name: rules for _, name, *rules in map(str.split, lines)}


def commands(rules: list[str]) -> set[str]:
    assert [rule for rule in rules if rule.startswith("+@") or rule == "allcommands"] == []
    assert "-@all" in rules
    return {rule[1:] for rule in rules if rule.startswith("+")}


def of_steps() -> set[str]:
    texts = [file.read_text() for file in STEPS.iterdir() if file.name.endswith(".lua")]
    texts += [(STEPS / "shared" / f"{part}.lua").read_text() for part in (*SHARED, *FURTHER)]
    return {command.lower() for text in texts for command in CALL.findall(text)}


def test_a_worker_may_do_what_the_steps_do_and_little_else(passwords: Path) -> None:
    allowed = commands(users(passwords)["outdial-worker"])
    beside = CONNECTING | LISTENING | STEPPING | LOOKING | CELERY | {"blpop", "wait"}
    assert of_steps() - allowed == set(), "add it to ops/redis/users.acl"
    assert allowed - of_steps() - beside == set(), "nothing uses it"


def test_the_intake_may_do_less(passwords: Path) -> None:
    made = users(passwords)
    more = commands(made["outdial-intake"]) - commands(made["outdial-worker"])
    assert more == set()
    assert commands(made["outdial-intake"]) & (CELERY | {"blpop", "wait", "zpopmin"}) == set()


def test_the_token_is_the_one_kind_of_key_that_the_intake_cannot_name(passwords: Path) -> None:
    patterns = [rule[1:] for rule in users(passwords)["outdial-intake"] if rule.startswith("~")]
    assert patterns == ["outdial", "outdial:[^t]*", "outdial:t[^o]*"]
    kinds = set(re.findall(r"--   NS:([a-z_]+)", (STEPS / "shared" / "keys.lua").read_text()))
    assert {kind for kind in kinds if kind.startswith("to")} == {"token"}


def test_only_hashes_are_written_and_the_default_user_is_off(passwords: Path) -> None:
    made = users(passwords)
    assert made["default"] == ["off", "~*", "&*", "+@all"]
    assert "password of" not in str(made)
    assert all(re.fullmatch("#[0-9a-f]{64}", rules[1]) for name, rules in made.items() if name != "default")


def test_namespace_and_database_are_those_of_the_settings(passwords: Path) -> None:
    rules = users(passwords, "dialer", "3")["outdial-worker"]
    assert {"~dialer:*", "~dialer.dial", "&dialer:end:*", "&/3.celeryev/*"} <= set(rules)
    assert not [rule for rule in rules if "outdial" in rule or "@" in rule.removeprefix("-@all")]


def test_whoever_gives_a_password_for_it_has_an_administrator(passwords: Path) -> None:
    assert "outdial-admin" not in users(passwords)
    (passwords / "admin").write_text("password of admin\n")
    on, _, *rules = users(passwords)["outdial-admin"]
    assert (on, rules) == ("on", ["~*", "&*", "+@all"])


def test_a_missing_password_is_named_and_nothing_is_written(passwords: Path) -> None:
    optional = {"outdial-results", "outdial-replica", "outdial-sentinel"}
    assert users(passwords).keys() & optional == {"outdial-results"}
    (passwords / "results").rename(passwords / "sentinel")
    assert users(passwords).keys() & optional == {"outdial-sentinel"}
    (passwords / "intake").write_text("")
    made = subprocess.run(
        ["sh", str(FOLDER / "users.sh"), str(passwords)], capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stdout) == (1, "")
    assert "intake is missing or empty; put the password of outdial-intake there" in made.stderr
