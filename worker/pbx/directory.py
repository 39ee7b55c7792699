"""The PBXs a process knows, by name: one adapter and one session each, shared by its threads."""

from collections.abc import Mapping
from typing import NamedTuple

from worker.errors import NotConfigured
from worker.hopper import Hopper
from worker.pbx.base import Pbx
from worker.pbx.session import PbxSession
from worker.pbx.yeastar_s import YeastarS
from worker.settings import Current, PbxSettings, RetrySettings, Settings


def adapter_for(name: str, settings: PbxSettings) -> Pbx:
    """Return the adapter that speaks the API *settings* name, for the PBX called *name*."""
    return YeastarS(name, settings)


class _Known(NamedTuple):
    """A PBX, with the settings that adapter and session were made for."""

    settings: PbxSettings
    retry: RetrySettings
    adapter: Pbx
    session: PbxSession


class Directory:
    """
    Makes adapters and sessions on first use, and again when the settings of their PBX were replaced.

    A request under way keeps the adapter that it began with.

    Args:
        hopper: Holds the shared tokens.
        settings: Which PBXs there are.
        adapters: Adapters to use instead of those the settings ask for.
    """

    def __init__(
        self, hopper: Hopper, settings: Settings | Current, adapters: Mapping[str, Pbx] | None = None
    ) -> None:
        self._hopper = hopper
        self._current = Current.of(settings)
        self._given = dict(adapters or {})
        self._known: dict[str, _Known] = {}

    def adapter(self, pbx: str) -> Pbx:
        """
        Return the adapter of a PBX.

        Raises:
            NotConfigured: If the settings of this process do not have it.
        """
        return self._present(pbx).adapter

    def session(self, pbx: str) -> PbxSession:
        """
        Return the session of a PBX.

        Raises:
            NotConfigured: If the settings of this process do not have it.
        """
        return self._present(pbx).session

    def settings(self, pbx: str) -> PbxSettings:
        """
        Return the settings that `adapter` and `session` were last made for.

        Raises:
            NotConfigured: If the settings of this process do not have the PBX.
        """
        known = self._known.get(pbx)
        return known.settings if known else self._present(pbx).settings

    def to_look_at(self, pbx: str) -> tuple[Pbx, PbxSession]:
        """
        Return adapter and session of a PBX, of one too that has left the settings since it was dialed.

        Raises:
            NotConfigured: If this process never had it in its settings.
        """
        is_former = pbx not in self._current.settings.pbx and pbx in self._known
        known = self._known[pbx] if is_former else self._present(pbx)
        return known.adapter, known.session

    def _present(self, pbx: str) -> _Known:
        present = self._current.settings
        settings, known = present.pbx.get(pbx), self._known.get(pbx)
        if settings is None:
            raise NotConfigured("not_configured", "this worker's settings do not have the PBX")
        if known is None or (known.settings, known.retry) != (settings, present.retry):
            adapter = self._given.get(pbx) or adapter_for(pbx, settings)
            mark = settings.credentials_mark()
            session = PbxSession(self._hopper, adapter, present.retry, credentials=mark)
            known = _Known(settings, present.retry, adapter, session)
            # Threads that come at the same time make one each; the last one stays.
            self._known[pbx] = known
        return known
