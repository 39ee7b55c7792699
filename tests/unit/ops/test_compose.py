"""The compose file keeps its rules, and the rules find what breaks them."""

import copy
import hashlib
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.docker.rules import breaches, missing_files, seconds
from worker.redis_address import RedisAddress
from worker.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSITION = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def of(service: str, **said: Any) -> Callable[[dict[str, Any]], None]:
    return lambda composition: composition["services"][service].update(said)


def without(service: str, key: str) -> Callable[[dict[str, Any]], None]:
    return lambda composition: composition["services"][service].pop(key)


MISTAKES = [
    (of("worker", read_only=False), "worker: its root can be written to"),
    (without("api", "cap_drop"), "api: keeps capabilities"),
    (of("redis", cap_add=["SYS_ADMIN"]), "redis: keeps capabilities"),
    (without("grafana", "security_opt"), "grafana: may gain rights"),
    (of("flower", user="root"), "flower: may be root"),
    (of("flower", user="0:0"), "flower: may be root"),
    (of("worker", network_mode="host"), "worker: shares a namespace"),
    (of("api", volumes=["./ops:/etc/outdial"]), "api: may write to a folder of the host"),
    (without("worker", "mem_limit"), "worker: has no mem_limit"),
    (without("simulator", "pids_limit"), "simulator: has no pids_limit"),
    (without("prometheus", "cpus"), "prometheus: has no cpus"),
    (without("redis", "cpu_quota"), "redis: has no cpus or cpu_quota"),
    (of("worker", cpus=2), "worker: is refused by hosts with one CPU; say cpu_quota: 200000"),
    (without("redis", "logging"), "redis: its log may fill the disk"),
    (without("worker", "restart"), "worker: stays away when it dies"),
    (without("flower", "healthcheck"), "flower: nobody knows whether it is well"),
    (of("flower", healthcheck={"disable": True}), "flower: nobody knows whether it is well"),
    (of("worker", healthcheck={"test": ["CMD-SHELL", "true"]}), "worker: its healthcheck starts a shell"),
    (of("worker", healthcheck={"test": ["CMD", "true"]}), "worker: its healthcheck has no start_period"),
    (without("api", "stop_grace_period"), "api: is killed 10 s after"),
    (of("worker", stop_grace_period="30s"), "worker: stop_grace_period 30s cuts calls off"),
    (of("api", environment={"HQ_PBX_PASSWORD": "x"}), "api: has a secret in the environment (HQ_PBX_PASSWORD)"),
    (of("api", environment=["API_TOKEN=x"]), "api: has a secret in the environment (API_TOKEN)"),
    (of("api", environment={"OUTDIAL_REDIS_URL": "redis://:x@redis/0"}), "api: has a password in an address"),
    (of("redis", command=["redis-server", "--requirepass", "x"]), "redis: has a secret in a command"),
    (
        of("redis", healthcheck={"test": ["CMD", "redis-cli", "--user", "outdial", "--pass", "x", "ping"]}),
        "redis: has a secret in a command",
    ),
    (
        of("redis", healthcheck={"test": ["CMD", "redis-cli", "-u", "redis://:x@redis", "ping"]}),
        "redis: has a secret in a command",
    ),
    (of("flower", networks=["hopper", "public"]), "flower: is on the public network"),
    (of("redis", networks=["hopper", "desk"]), "redis: is on other networks"),
    (without("worker", "networks"), "worker: is on the default network"),
    (of("redis", ports=["127.0.0.1:6379:6379"]), "redis: publishes a port"),
    (of("flower", ports=["5555:5555"]), "flower: publishes 5555:5555 to other hosts"),
    (of("api", build={"context": "."}), "api: builds the image that image builds"),
    (of("worker", container_name="worker"), "worker: has container_name"),
    (lambda composition: composition["networks"].update(hopper={}), "network hopper: has a way out"),
    (
        lambda composition: composition["secrets"].update(redis_url={"environment": "REDIS_URL"}),
        "secret redis_url: comes from no file",
    ),
]


def test_the_compose_file_keeps_all_rules() -> None:
    settings = tomllib.loads((ROOT / "ops/docker/outdial.toml.example").read_text())
    assert breaches(COMPOSITION, stop_grace_s=settings["worker"]["stop_grace_s"]) == []


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES, ids=[sentence for _, sentence in MISTAKES])
def test_a_planted_mistake_is_found(mistake: Callable[[dict[str, Any]], None], sentence: str) -> None:
    composition = copy.deepcopy(COMPOSITION)
    mistake(composition)
    assert any(found.startswith(sentence) for found in breaches(composition)), breaches(composition)


def test_a_file_that_is_mounted_and_not_there_is_found(tmp_path: Path) -> None:
    found = missing_files(COMPOSITION, tmp_path)
    assert "worker: mounts ./ops/docker/demo.toml, which is not there" in found
    assert "redis: mounts ./ops/docker/redis.conf, which is not there" in found


@pytest.mark.parametrize(("text", "length"), [("45s", 45), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600)])
def test_durations_are_understood(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "45", "s", "1 m", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 45s"):
        seconds(text)


def test_image_and_package_bear_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert COMPOSITION["services"]["worker"]["image"] == f"${{OUTDIAL_IMAGE:-outdial:{version}}}"
    assert f"ARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text()


def test_redis_keeps_what_it_is_given() -> None:
    lines = (ROOT / "ops/docker/redis.conf").read_text().splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction", "aclfile /tmp/users.acl"} <= set(lines)


def test_each_service_is_given_its_own_secrets_and_no_others() -> None:
    given = {name: mounted(service) for name, service in COMPOSITION["services"].items() if "secrets" in service}
    assert given == {
        "redis": {"redis_users": "redis_users"},
        "worker": {"redis_url_worker": "redis_url", "pbx_hq_password": "pbx_hq_password"},
        "api": {"redis_url_intake": "redis_url"},
        "flower": {"redis_url_flower": "redis_url", "flower_password": "flower_password"},
        "grafana": {"grafana_password": "grafana_password"},
        "simulator": {"pbx_hq_password": "pbx_hq_password"},
        "leads": {"redis_url_intake": "redis_url"},
    }


def test_secrets_are_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    made = {file.name: file.read_text() for file in folder.iterdir()}
    make_secrets(folder)
    assert made == {file.name: file.read_text() for file in folder.iterdir()}
    assert made.keys() - {"redis_admin"} == COMPOSITION["secrets"].keys()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(not file.stat().st_mode & 0o222 for file in folder.iterdir())


@pytest.mark.parametrize("kind", ["worker", "intake", "flower"])
def test_redis_knows_the_hash_of_each_password_alone(kind: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    address = RedisAddress.parse((tmp_path / f"redis_url_{kind}").read_text().strip())
    users = (tmp_path / "redis_users").read_text()
    assert address.password is not None
    assert address.password not in users
    assert address.username == f"outdial-{kind}"
    assert f"user {address.username} on #{hash_of(address.password)} resetkeys " in users


def test_an_administrator_of_redis_has_a_password_of_their_own(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    known = hash_of((tmp_path / "redis_admin").read_text())
    assert f"user admin on #{known} ~* &* +@all" in (tmp_path / "redis_users").read_text().splitlines()


def test_a_password_made_anew_is_known_to_redis(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = (tmp_path / "redis_users").read_text().splitlines()
    (tmp_path / "redis_url_flower").unlink()
    make_secrets(tmp_path)
    after = (tmp_path / "redis_users").read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [line.split()[1] for line in changed] == ["outdial-flower"]


def test_users_are_made_for_our_own_redis_alone(tmp_path: Path) -> None:
    (tmp_path / "redis_url_worker").write_text("rediss://outdial-worker@redis.example:6379/0\n")
    make_secrets(tmp_path)
    assert not (tmp_path / "redis_users").exists()
    assert (tmp_path / "redis_url_worker").read_text() == "rediss://outdial-worker@redis.example:6379/0\n"


@pytest.mark.parametrize(("version", "tells"), [("Redis server v=7.0.15", False), ("Redis server v=7.4.2", True)])
def test_redis_is_given_users_that_its_version_understands(version: str, *, tells: bool, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    script = (ROOT / "ops/docker/redis.sh").read_text()
    script = script.replace("/run/secrets", str(tmp_path)).replace("/tmp/users.acl", str(tmp_path / "users.acl"))
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{version} sha=00000000:0'\n")
    program.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": path}, capture_output=True)
    assert ("+client|setinfo" in (tmp_path / "users.acl").read_text()) is tells
    assert (tmp_path / "users.acl").stat().st_mode & 0o777 == 0o600


def test_a_restarted_redis_may_read_all_that_it_wrote(tmp_path: Path) -> None:
    # It does so as its default user, and Redis 7 drops what that user may not do without stopping.
    make_secrets(tmp_path)
    assert "user default off ~* &* +@all" in (tmp_path / "redis_users").read_text().splitlines()


def test_who_comes_without_a_password_may_ping_alone(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    lines = (tmp_path / "redis_users").read_text().splitlines()
    assert [line for line in lines if "nopass" in line] == [
        "user health on nopass resetkeys resetchannels -@all +ping"
    ]


@pytest.mark.parametrize("name", ["demo.toml", "outdial.toml.example"])
def test_settings_of_the_containers_can_be_read(name: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "redis_url").write_text((tmp_path / "redis_url_worker").read_text())
    content = (ROOT / "ops/docker" / name).read_text().replace("/run/secrets", str(tmp_path))
    (tmp_path / "outdial.toml").write_text(content)
    settings = Settings.load(tmp_path / "outdial.toml")
    assert settings.redis_address.place == "redis://redis:6379"
    assert settings.default_pbx in settings.pbx


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """Return {secret: the name of its file under /run/secrets}."""
    named = [{"source": one, "target": one} if isinstance(one, str) else one for one in service["secrets"]]
    return {one["source"]: one["target"] for one in named}


def hash_of(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", ROOT / "ops/docker/make-secrets.sh", folder], check=True, capture_output=True)
