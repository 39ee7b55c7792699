"""Under the Redis users of `ops/redis` all works, nobody may do more, and no surface shows a secret."""

import os
from collections.abc import Iterator

import pytest
import redis
from click.testing import CliRunner
from redis.exceptions import NoPermissionError

from ops.chaos.leaks import leaks_in, leaks_in_texts, secret_of
from ops.chaos.published import Published
from ops.chaos.surfaces import commands, of_flower, of_intake, of_processes, of_redis
from ops.installation import PASSWORD
from producers.cli import cli
from tests.acceptance.guarded import (
    FAILED,
    LOST,
    NUMBERS,
    PLACED,
    USERS,
    WITHDRAWN,
    Done,
    Guarded,
    do_everything,
    guarded,
    running,
)
from tests.integration.endpoints import TOKEN

# One of each kind that would let a process out of its own keys, or harm all of Redis.
DANGEROUS = (
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "SCAN 0",
    "CONFIG GET *",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "DEBUG SLEEP 0",
    "MONITOR",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION LIST",
    "ACL LIST",
    "ACL SETUSER mallory on nopass ~* +@all",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "REPLICAOF 127.0.0.1 1",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "SWAPDB 0 1",
    "MIGRATE 127.0.0.1 1 outdial:seq 0 10",
    "MODULE LIST",
    "RENAME outdial:seq outdial:other",
    "RANDOMKEY",
    "GET somebody:else",
    "PSUBSCRIBE *",
    "SUBSCRIBE somebody",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("guarded")) as made:
        yield made


@pytest.fixture(scope="module")
def done(world: Guarded) -> Done:
    """Everything, once; with what all surfaces showed while it ran."""
    with (
        Published(f"redis://:{world.admin_password}@127.0.0.1:{world.port}/0").listening() as published,
        running(world),
    ):
        done = do_everything(world)
        done.texts = surfaces(world, done.jobs)
    done.texts["Celery's events, and all else that is published"] = published.text
    assert done.jobs[FAILED] in published.text
    done.denied = world.denied()
    return done


def test_every_kind_of_process_does_its_work_and_is_denied_nothing(world: Guarded, done: Done) -> None:
    states = {number: str(state) for number, state in done.states.items()}
    assert (states[PLACED], states[FAILED], states[WITHDRAWN]) == ("placed", "failed", "cancelled")
    assert states[LOST] in ("placed", "unknown")
    assert (done.by_celery["state"], done.by_celery["callid"]) == (
        "placed",
        world.site.hopper.result(done.jobs[PLACED]).callid,
    )
    assert {task["state"] for task in done.in_flower.values()} >= {"SUCCESS", "FAILURE", "REVOKED"}
    assert "log-in in order" in done.doctor
    assert "BAD" not in done.doctor
    assert "secrets" not in done.doctor, "the files with secrets are for their owner alone"
    assert done.denied == set()


# What would be of use to whoever got hold of one kind of process.
OUT_OF_REACH = {
    "worker": ("GET somebody:else", "LPUSH somebodys.queue x", "PUBLISH somebody x"),
    "intake": (
        "HGET outdial:token:hq token",
        "LPUSH outdial.dial x",
        "GET celery-task-meta-x",
        "BRPOP outdial.dial 1",
    ),
    "flower": (
        *("HGETALL outdial:token:hq", "HGETALL outdial:apikey:x", "GET celery-task-meta-x"),
        *("DEL outdial:job:x", "LPUSH outdial.dial x", "SADD outdial:paused hq"),
    ),
    "results": ("HGETALL outdial:job:x", "SET celery-task-meta-x forged", "EVAL return 0"),
}
SCRIPTS = {
    "worker": ("redis.call('FLUSHALL')", "redis.call('GET', 'somebody:else')"),
    "intake": ("redis.call('HGETALL', 'outdial:token:hq')", "redis.call('LPUSH', 'outdial.dial', 'x')"),
    "flower": ("redis.call('SMEMBERS', 'outdial:known')",),
    "results": (),
}


@pytest.mark.parametrize("user", USERS)
def test_nobody_may_do_what_would_harm_others(world: Guarded, user: str) -> None:
    with world.as_user(user) as client:
        allowed = [
            command for command in (*DANGEROUS, *OUT_OF_REACH[user]) if is_allowed(client, *command.split())
        ]
        allowed += [script for script in SCRIPTS[user] if is_allowed(client, "EVAL", script, 0)]
    assert allowed == []


def is_allowed(client: redis.Redis, *command: str | int) -> bool:
    """Whether the server lets this user do it; refusals for any other reason count as allowed."""
    try:
        client.execute_command(*command)
    except NoPermissionError:
        return False
    except redis.ResponseError as error:
        # What a script may not do ends the script, in words of the server's own.
        return "permission" not in str(error)
    return True


def test_nothing_shows_a_number_a_token_or_a_password(world: Guarded, done: Done) -> None:
    secrets = dict.fromkeys(NUMBERS, "a dialed number") | {PASSWORD: "the PBX's password"}
    secrets |= {password: f"the password for {name}" for name, password in world.passwords.items()}
    secrets |= {
        secret_of(world.client.key): "an API key",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "a signing key",
    }
    secrets |= dict.fromkeys(done.tokens, "a PBX's token") | {TOKEN: "an endpoint's address"}
    assert done.tokens, "somebody has logged in"

    logs = [*world.folder.glob("*.log"), *world.folder.glob("redis/*.log")]
    assert {log.name for log in logs} >= {"workers.log", "api.log", "flower.log", "hq.log", "redis.log"}
    assert leaks_in(logs, secrets) + leaks_in_texts(done.texts, secrets) == []


def surfaces(world: Guarded, jobs: dict[str, str]) -> dict[str, str]:
    """Return {what shows it: what it shows} of all that others than the processes themselves can see."""
    seen = of_flower(lambda page: world.flower(page).text, jobs.values())
    seen |= of_intake(lambda page: world.client.get(page).text, jobs.values())
    seen |= {f"outdial {command}": _said(world, command) for command in commands([jobs[FAILED], jobs[LOST]])}
    seen["what the intake refuses"] = "".join(
        world.client.hand_in(**fields).text for fields in ({"outto": f"{PLACED}x"}, {"extid": PLACED, "outto": ""})
    )
    seen["what outdial refuses"] = world.site.outdial("enqueue", "1000", f"{PLACED}x").stderr
    seen["metrics"] = world.metrics()
    assert "outdial_attempts_total{" in seen["metrics"]
    seen["deliveries to the CRM"] = str([request.body for request in world.crm.requests])
    with redis.Redis(port=world.port, db=1, password=world.admin_password, decode_responses=True) as results:
        seen |= of_redis(world.admin, results, "outdial")
    assert "celery-task-meta-" in seen["the results backend"]
    return seen | of_processes(os.getpid(), "cmdline", "environ")


def _said(world: Guarded, command: str) -> str:
    """Run a command in this process, which starts sooner than one of its own."""
    done = CliRunner().invoke(cli, ["--config", str(world.site.config), *command.split()])
    return done.output + repr(done.exception)
