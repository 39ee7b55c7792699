"""The PBXs a process knows, by name: one adapter and one session each, shared by its threads."""

from collections.abc import Mapping

from worker.errors import NotConfigured
from worker.hopper import Hopper
from worker.pbx.base import Pbx
from worker.pbx.session import PbxSession
from worker.pbx.yeastar_s import YeastarS
from worker.settings import PbxSettings, Settings


def adapter_for(name: str, settings: PbxSettings) -> Pbx:
    """Return the adapter that speaks the API *settings* name, for the PBX called *name*."""
    return YeastarS(name, settings)


class Directory:
    """
    Makes adapters and sessions on first use.

    Args:
        hopper: Holds the shared tokens.
        settings: Which PBXs there are.
        adapters: Adapters to use instead of those the settings ask for.
    """

    def __init__(self, hopper: Hopper, settings: Settings, adapters: Mapping[str, Pbx] | None = None) -> None:
        self._hopper = hopper
        self._settings = settings
        self._adapters = dict(adapters or {})
        self._sessions: dict[str, PbxSession] = {}

    def adapter(self, pbx: str) -> Pbx:
        """
        Return the adapter of a PBX.

        Raises:
            NotConfigured: If the settings of this process do not have it.
        """
        adapter = self._adapters.get(pbx)
        if adapter is None:
            if pbx not in self._settings.pbx:
                raise NotConfigured("not_configured", "this worker's settings do not have the PBX")
            adapter = self._adapters.setdefault(pbx, adapter_for(pbx, self._settings.pbx[pbx]))
        return adapter

    def session(self, pbx: str) -> PbxSession:
        """
        Return the session of a PBX.

        Raises:
            NotConfigured: If the settings of this process do not have it.
        """
        session = self._sessions.get(pbx)
        if session is None:
            made = PbxSession(self._hopper, self.adapter(pbx), self._settings.retry)
            session = self._sessions.setdefault(pbx, made)
        return session
