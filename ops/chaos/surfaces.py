"""What others than the processes themselves can see of an installation, as texts to be searched for leaks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ops.children import children_of

FLOWER_PAGES: Final = ("", "broker", "tasks", "metrics", "api/workers", "api/tasks", "api/queues/length")
INTAKE_PAGES: Final = ("/openapi.json", "/healthz", "/readyz", "/docs", "/v1/pbxs", "/v1/dial-jobs")
_COMMANDS: Final = (
    "results",
    "results --format csv",
    "lanes",
    "lanes --json",
    "watch --once",
    "report --json",
    "report --html -",
    "keys list",
    "webhooks list",
)
# What must hold numbers and tokens, and is for nobody's eyes.
_KEPT: Final = ("job", "token")


def of_flower(page: Callable[[str], str], jobs: Iterable[str]) -> dict[str, str]:
    """
    Return what Flower shows, of some jobs too.

    Args:
        page: Gets a page by its path.
        jobs: Their ids.
    """
    pages = [*FLOWER_PAGES, *(f"{kind}/{job}" for job in jobs for kind in ("task", "api/task/info"))]
    return {f"Flower's {path}": page(path) for path in pages}


def of_intake(page: Callable[[str], str], jobs: Iterable[str]) -> dict[str, str]:
    """Return what the HTTP intake shows to whoever has a key; arguments as in `of_flower`."""
    pages = [*INTAKE_PAGES, *(f"/v1/dial-jobs/{job}" for job in jobs)]
    return {f"the intake's {path}": page(path) for path in pages}


def commands(jobs: Iterable[str]) -> list[str]:
    """Return commands of `outdial` that show something, without that word; some ask about *jobs*."""
    return [*_COMMANDS, *(f"{asked} {job}" for job in jobs for asked in ("status", "why"))]


def of_redis(jobs: Any, results: Any, namespace: str) -> dict[str, str]:
    """
    Return names and contents of all keys but the records and the tokens, and what clients say of themselves.

    Args:
        jobs: Client of the database of jobs and messages, who may see everything.
        results: The same for that of results.
        namespace: Key prefix of ours.
    """
    kept = tuple(f"{namespace}:{kind}:" for kind in _KEPT)
    names = [name for name in jobs.scan_iter(count=1000) if not name.startswith(kept)]
    return {
        "keys beside the records": "\n".join(f"{name} {_content(jobs, name)}" for name in names),
        "the results backend": "\n".join(
            f"{name} {_content(results, name)}" for name in results.scan_iter(count=1000)
        ),
        "the list of clients": str(jobs.client_list()),
    }


def _content(client: Any, name: str) -> str:
    read: Mapping[str, Callable[[str], Any]] = {
        "hash": client.hgetall,
        "set": client.smembers,
        "string": client.get,
        "list": lambda name: client.lrange(name, 0, -1),
        "zset": lambda name: client.zrange(name, 0, -1),
        "stream": client.xrange,
        "none": lambda _: "",
    }
    return str(read[client.type(name)](name))


def of_processes(pid: int, *files: str) -> dict[str, str]:
    """
    Return what all processes below one were given.

    Args:
        pid: Of the one.
        files: Of /proc: `cmdline`, which any user of the host may read, or `environ`, which that user may.
    """
    return {f"{' and '.join(files)} of processes": "\n".join(_given_below(pid, files))}


def _given_below(pid: int, files: Sequence[str]) -> Iterator[str]:
    for child in children_of(pid):
        try:
            program = Path(f"/proc/{child}/cmdline").read_bytes()
            given = b" ".join(Path(f"/proc/{child}/{file}").read_bytes() for file in files)
            yield from _given_below(child, files)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        if b"ops.pbx_simulator" not in program:  # whose password is made up, and everybody's
            yield given.replace(b"\0", b" ").decode(errors="replace")
