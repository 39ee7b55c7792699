"""What every line says without being told: which process, and which job it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from structlog.contextvars import bind_contextvars, clear_contextvars


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """
    Put *fields* into every line that this thread writes in the block, and nothing else of what it said before.

    The threads of a pool live on from one job to the next, and so do their context variables: they are cleared
    before the block and after it.

    Args:
        fields: `job_id` and such. More may be added inside, by `structlog.contextvars.bind_contextvars`.
    """
    clear_contextvars()
    bind_contextvars(**fields)
    try:
        yield
    finally:
        clear_contextvars()


def naming(process: str) -> Any:
    """Return the processor that names the process, for the lines of several may be in one stream."""

    def name(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
        line.setdefault("process", process)
        return line

    return name
