"""
`python -m ops.docker.rules docker-compose.yml`: what every service of the compose file must be, beyond its schema.

Each rule is a function that yields a sentence for each breach; a new rule joins `RULES`.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Service = dict[str, Any]
Composition = dict[str, Any]

# The services that may be reached from other hosts.
PUBLIC = frozenset({"api"})
# They hold or show what is nobody else's business.
PRIVATE = ("redis", "flower", "prometheus", "grafana")
_SECRET_WORDS = re.compile(r"pass(word|wd)?|secret|token|api_?key|credential", re.IGNORECASE)
_LOGIN_IN_URL = re.compile(r"://[^/\s@]*:[^/\s@{}]+@")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "ms": 0.001}


def services(composition: Composition) -> Iterator[tuple[str, Service]]:
    """Yield the name of each service, and what is said of it."""
    yield from composition["services"].items()


def seconds(duration: str) -> float:
    """
    Return the seconds of a duration such as `1m30s`.

    Raises:
        ValueError: If it is none.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 45s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def contained(composition: Composition) -> Iterator[str]:
    """Yield what lets a container do more than its work."""
    for name, service in services(composition):
        if service.get("read_only") is not True:
            yield f"{name}: its root can be written to; say read_only: true"
        if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            yield f"{name}: keeps capabilities; say cap_drop: [ALL] and add none"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: may gain rights; say security_opt: [no-new-privileges:true]"
        if service.get("privileged") or not re.match(r"[1-9]\d*:\d+$", str(service.get("user", ""))):
            yield f"{name}: may be root; give user as numbers, such as 10001:10001"
        if "network_mode" in service or "pid" in service or "ipc" in service:
            yield f"{name}: shares a namespace of the host; leave network_mode, pid and ipc out"
        for volume in service.get("volumes", []):
            if volume.startswith((".", "/", "${")) and not volume.endswith(":ro"):
                yield f"{name}: may write to a folder of the host; end the volume with :ro"


def limited(composition: Composition) -> Iterator[str]:
    """Yield what may take all there is of the host."""
    for name, service in services(composition):
        for limits in (("mem_limit",), ("cpus", "cpu_quota"), ("pids_limit",)):
            if not any(service.get(limit) for limit in limits):
                yield f"{name}: has no {' or '.join(limits)}"
        if (cpus := float(service.get("cpus") or 0)) > 1:
            yield f"{name}: is refused by hosts with one CPU; say cpu_quota: {cpus * 100_000:.0f}"
        if "max-size" not in service.get("logging", {}).get("options", {}):
            yield f"{name}: its log may fill the disk; give logging.options max-size"


def watched(composition: Composition) -> Iterator[str]:
    """Yield who is not started again, or not known to be well."""
    for name, service in services(composition):
        once = service.get("restart") == "on-failure"
        if service.get("restart") not in ("unless-stopped", "always", "on-failure"):
            yield f"{name}: stays away when it dies; say restart: unless-stopped"
        check = service.get("healthcheck", {})
        if check.get("disable") and once:
            continue
        if not check.get("test") or check.get("disable"):
            yield f"{name}: nobody knows whether it is well; give it a healthcheck"
        elif check["test"][0] != "CMD":
            yield f"{name}: its healthcheck starts a shell each time; begin it with CMD"
        else:
            missing = [key for key in ("interval", "timeout", "retries", "start_period") if key not in check]
            yield from (f"{name}: its healthcheck has no {key}" for key in missing)


def patient(composition: Composition, *, stop_grace_s: float) -> Iterator[str]:
    """
    Yield who would be killed at its work.

    Args:
        composition: All of the file.
        stop_grace_s: What the workers' settings say; more than an attempt's deadline.
    """
    for name, service in services(composition):
        grace = service.get("stop_grace_period")
        if grace is None:
            yield f"{name}: is killed 10 s after it was asked to stop; say how long it needs by stop_grace_period"
        elif name == "worker" and seconds(grace) < stop_grace_s + 5:
            yield (
                f"worker: stop_grace_period {grace} cuts calls off; give 5 s more than "
                f"worker.stop_grace_s = {stop_grace_s:g}"
            )


def secretive(composition: Composition) -> Iterator[str]:
    """Yield secrets that whoever may look at containers or processes would read."""
    for name, service in services(composition):
        for variable, value in _environment(service):
            if _SECRET_WORDS.search(variable) and not variable.endswith(("_FILE", "_file")):
                yield f"{name}: has a secret in the environment ({variable}); give it as a file under secrets"
            elif _LOGIN_IN_URL.search(value):
                yield f"{name}: has a password in an address in the environment ({variable}); use redis_url_file"
        for command in (service.get("command"), service.get("healthcheck", {}).get("test")):
            if any(_shows_secret(word) for word in _words(command)):
                yield f"{name}: has a secret in a command, which every process list shows; give it as a file"
    for name, secret in composition.get("secrets", {}).items():
        if "file" not in secret:
            yield f"secret {name}: comes from no file"


def apart(composition: Composition) -> Iterator[str]:
    """Yield who can be reached by whom it should not."""
    networks = composition.get("networks", {})
    for name in ("hopper", "metrics"):
        if not (networks.get(name) or {}).get("internal"):
            yield f"network {name}: has a way out; say internal: true"
    for name, service in services(composition):
        if name not in PUBLIC and "public" in _named(service.get("networks")):
            yield f"{name}: is on the public network, where only {', '.join(sorted(PUBLIC))} should be"
        if name == "redis" and _named(service.get("networks")) != ["hopper"]:
            yield "redis: is on other networks than hopper"
        if not service.get("networks"):
            yield f"{name}: is on the default network with whoever else is; name its networks"
        for port in service.get("ports", []):
            if name not in (*PUBLIC, *PRIVATE) or name == "redis":
                yield f"{name}: publishes a port; nobody outside has to reach it"
            elif not str(port).startswith(("127.0.0.1:", "${API_PUBLISHED:-127.0.0.1:")):
                yield f"{name}: publishes {port} to other hosts; begin it with 127.0.0.1:"


def scalable(composition: Composition) -> Iterator[str]:
    """Yield what lets there be only one worker."""
    for key in ("container_name", "ports", "hostname"):
        if key in composition["services"].get("worker", {}):
            yield f"worker: has {key}, so that a second one cannot start"


def built_once(composition: Composition) -> Iterator[str]:
    """Yield images that several services would build at once, at which Compose 2 fails now and then."""
    builders: dict[str, str] = {}
    for name, service in services(composition):
        if "build" in service and (first := builders.setdefault(str(service.get("image")), name)) != name:
            yield f"{name}: builds the image that {first} builds; leave build out"


RULES: tuple[Callable[[Composition], Iterator[str]], ...] = (
    contained,
    limited,
    watched,
    secretive,
    apart,
    scalable,
    built_once,
)


def breaches(composition: Composition, *, stop_grace_s: float = 35.0) -> list[str]:
    """
    Return a sentence for each breach of a rule.

    Args:
        composition: The compose file, parsed, with its anchors merged.
        stop_grace_s: Of the workers, in seconds.
    """
    found = [sentence for rule in RULES for sentence in rule(composition)]
    return found + list(patient(composition, stop_grace_s=stop_grace_s))


def missing_files(composition: Composition, folder: Path) -> list[str]:
    """Return a sentence for each file that a service mounts from *folder* and that is not there."""
    mounted = [
        (name, source)
        for name, service in services(composition)
        for volume in service.get("volumes", [])
        if (source := _source(volume)).startswith("./")
    ]
    gone = [(name, source) for name, source in mounted if not (folder / source).exists()]
    return [f"{name}: mounts {source}, which is not there" for name, source in gone]


def main(arguments: list[str]) -> int:
    """Judge the compose file named by the one argument; returns 0 if all is well, else 1 with the sentences."""
    file = Path(arguments[0])
    composition = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings = tomllib.loads((file.parent / "ops/docker/outdial.toml.example").read_text(encoding="utf-8"))
    found = breaches(composition, stop_grace_s=settings["worker"]["stop_grace_s"])
    found += missing_files(composition, file.parent)
    for sentence in found:
        print(f"{file}: {sentence}", file=sys.stderr)  # noqa: T201  a command
    return int(bool(found))


def _source(volume: str) -> str:
    """Return what is mounted; of a variable with a default, the default."""
    default = re.match(r"\$\{\w+:-([^}]*)\}", volume)
    return default[1] if default else volume.partition(":")[0]


def _environment(service: Service) -> list[tuple[str, str]]:
    environment = service.get("environment", {})
    if isinstance(environment, list):
        return [(line.partition("=")[0], line.partition("=")[2]) for line in environment]
    return [(name, str(value)) for name, value in environment.items()]


def _words(command: Any) -> list[str]:
    words = command.split() if isinstance(command, str) else [str(word) for word in command or []]
    # The user of the health check has no password, and redis-cli logs nobody in without one.
    return " ".join(words).replace("--no-auth-warning --user health --pass none", "").split()


def _shows_secret(word: str) -> bool:
    # An option may name the file of a secret.
    return bool(_LOGIN_IN_URL.search(word) or (_SECRET_WORDS.search(word) and "/run/secrets/" not in word))


def _named(networks: Any) -> list[str]:
    return list(networks or [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
