"""Which settings each process has, and the request that all read theirs again."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from worker.hopper.audit import noted
from worker.hopper.looking import Looking


@dataclass(frozen=True, slots=True)
class SettingsReport:
    """
    Which settings one process has.

    Attributes:
        process: Its name, such as `dialer1.4711@host`.
        version: Of the settings in force there (see `worker.settings.version_of`).
        asked: How many requests for a reload it has followed, successfully or not.
        read_at: When it read the settings in force, unix seconds by the clock of its host.
        refused: Why it refused what it read last and goes on with the settings of before; empty if it did not.
        needs_restart: Names of settings that were changed and take a restart.
        differs: A sentence for each limit or PBX that this worker has otherwise than is in force; a few at most.
    """

    process: str
    version: str
    asked: int
    read_at: float
    refused: str = ""
    needs_restart: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def by_version(reports: Iterable[SettingsReport]) -> dict[str, list[str]]:
    """Return the names of the processes that have each version of the settings."""
    names: dict[str, list[str]] = {}
    for report in reports:
        names.setdefault(report.version, []).append(report.process)
    return names


class Reports(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    def ask_reload(self, *, reason: str = "") -> int:
        """
        Ask every process of the installation to read its settings again; return how often that was asked.

        The actor and *reason* stay in the audit.
        """
        return int(self._scripts.run("ask_reload", noted(reason))[0])

    def reloads_asked(self) -> int:
        """Return how often a reload was asked for."""
        return int(self._client.hget(self.keys.guard, "reloads") or 0)

    def report_settings(self, report: SettingsReport, *, ttl_s: float) -> int:
        """Report which settings a process has, for a time; return how often a reload was asked for."""
        text = json.dumps(asdict(report))
        return int(self._scripts.run("report_settings", report.process, ttl_s, text)[0])

    def leave_reports(self, process: str, *, ttl_s: float) -> None:
        """Remove the report of a process that ends."""
        self._scripts.run("report_settings", process, ttl_s, "")

    def settings_reports(self) -> list[SettingsReport]:
        """Return the reports of all processes that live, by name; one that cannot be read is left out."""
        now, found = self.now(), []
        for row in self._client.hgetall(self.keys.reports).values():
            until, _, text = row.partition("|")
            with suppress(ValueError, TypeError):
                if float(until) > now:
                    plain = json.loads(text)
                    lists = {name: tuple(plain[name]) for name in ("needs_restart", "differs") if name in plain}
                    found.append(SettingsReport(**{**plain, **lists}))
        return sorted(found, key=lambda report: report.process)
