"""Who is to hear of what: endpoints and sources of the settings, as the targets of deliveries."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from worker.hopper import Hopper, Keeping
from worker.jobs import DialResult
from worker.settings import Current, Settings
from worker.webhooks.endpoints import EndpointSettings, Route, tells

_SOURCE = "source:"
# Ends per step: a longer one would keep others, and the dialing, from Redis.
_BATCH = 100
_PORT = re.compile(r"https?://[^/\s{}@]*:([0-9]{1,5})(?=[/?#\"'\s]|$)")


def telling_sources(settings: Settings) -> list[str]:
    """Return the names of the sources whose CRM may be told of results; the adapter decides for each result."""
    return [name for name, block in settings.source.items() if tells(block)]


def anybody_listens(settings: Settings) -> bool:
    """Return whether there is any endpoint, or source that tells its CRM, in the settings."""
    return bool(settings.webhook or telling_sources(settings))


def target_names(settings: Settings) -> list[str]:
    """Return the names of all targets: endpoints, and `source:NAME`."""
    return [*settings.webhook, *(f"{_SOURCE}{name}" for name in telling_sources(settings))]


def source_of(target: str) -> str | None:
    """Return the source that a target stands for; None for an endpoint."""
    return target.removeprefix(_SOURCE) if target.startswith(_SOURCE) else None


def routes(settings: Settings) -> dict[str, Route]:
    """Return how far calls to each target may go."""
    sources = {
        f"{_SOURCE}{name}": settings.webhooks.sources.get(name, Route()) for name in telling_sources(settings)
    }
    return {**settings.webhook, **sources}


def ports_written(block: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the ports that an operator wrote into the addresses of a source's block, however deep."""
    return tuple(sorted({int(port) for text in _texts(block) for port in _PORT.findall(text)}))


def keeping_of(settings: Settings) -> Keeping:
    """Return how long dead letters are kept, and how many."""
    return Keeping(kept_s=settings.webhooks.keep_dead_s, most_dead=settings.webhooks.most_dead)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _texts(inner)


class Announcer:
    """
    Stores a delivery for everybody who is to hear of an end; does nothing where nobody listens.

    Args:
        hopper: Where deliveries wait.
        settings: Who wants what.
    """

    def __init__(self, hopper: Hopper, settings: Settings | Current) -> None:
        self._hopper = hopper
        self._current = Current.of(settings)

    def announce(self, results: Sequence[DialResult]) -> set[str]:
        """
        Store their deliveries, once, however often this is called.

        Returns:
            Ids of the jobs whose records now show that their end was announced; the others interest no target.

        Raises:
            redis.exceptions.RedisError: If that failed; then the results must stay in the outbox.
        """
        announced: set[str] = set()
        settings = self._current.settings
        origins = {name: endpoint.origins for name, endpoint in settings.webhook.items()}
        sources, keeping = telling_sources(settings), keeping_of(settings)
        for first in range(0, len(results), _BATCH):
            ends = [(result, _wanting(settings.webhook, result)) for result in results[first : first + _BATCH]]
            if sources or any(names for _, names in ends):
                self._hopper.announce(ends, origins=origins, sources=sources, keeping=keeping)
                announced.update(result.job_id for result, _ in ends)
        return announced


def _wanting(endpoints: Mapping[str, EndpointSettings], result: DialResult) -> list[str]:
    return [
        name
        for name, endpoint in endpoints.items()
        if (not endpoint.states or result.state in endpoint.states)
        and (not endpoint.pbx or result.pbx in endpoint.pbx)
    ]
