"""
The thread in every process that reads the settings again: after a SIGHUP, or when `outdial reload` asked for it.

A reading that is wrong changes nothing, and the settings of before stay in force. One that is right replaces them
as a whole (`worker.settings.Current`), and the parts of the process find them there. Nothing else happens at that
moment: no thread, connection or call ends. ADR 0014 has the reasons.
"""

import threading
import time
from collections.abc import Callable

import redis
import structlog

from worker import logs, metrics, signals
from worker.errors import ConfigurationError
from worker.hopper import Hopper, SettingsReport
from worker.settings import Current, Settings, change_of, version_of
from worker.webhooks.targets import target_names

log = structlog.get_logger()

# How often the process looks in Redis for a request to reload, and reports its settings.
_EVERY_S = 1.0
# A stop waits for this at most.
_SLICE_S = 0.2
_REPORT_TTL_S = 15.0
# A storm of signals leaves this part of the time to calls.
_FREE_TIME = 9
# Also where a file of thousands of PBXs takes a second to read: a reload asked for meanwhile shall not wait long.
_LONGEST_REST_S = 2.0
_MOST_NAMED = 20
_LONGEST_REASON = 600


class Reloader:
    """
    Reads the settings of one process again whenever that is asked for.

    Args:
        current: Holds the settings in force; replaced by what was read.
        read: Reads them; raises ConfigurationError with a sentence for every problem.
        hopper: Knows whether a reload was asked for; used by this thread.
        name: Of the process, in its report. Empty: it reports nothing.
        check: Called with the settings before they are in force; raises ConfigurationError if the process cannot
            use them.
        hung_up: Called after each SIGHUP, once the settings were read or refused.
        differences: Returns a sentence for each setting that differs from what is in force (see `SettingsReport`).
    """

    def __init__(
        self,
        current: Current,
        read: Callable[[], Settings],
        hopper: Hopper,
        *,
        name: str = "",
        check: Callable[[Settings], object] = lambda _settings: None,
        hung_up: Callable[[], None] = lambda: None,
        differences: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        self._current = current
        self._read = read
        self._hopper = hopper
        self._name = name
        self._check = check
        self._hung_up = hung_up
        self._differences = differences
        # Below what Redis may answer first: a request may have come between our first reading and now.
        self._followed = 0
        self._refused = ""
        self._needs_restart: tuple[str, ...] = ()
        self._version = version_of(current.settings)
        self._read_at = time.time()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to wait for signals and requests."""
        self._thread.start()

    def stop(self) -> None:
        """Reload no more, and take the report away if Redis answers."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2)

    def reload(self) -> bool:
        """Read the settings, and put them in force; returns whether they were right."""
        began = time.monotonic()
        try:
            self._follow(self._read())
        except ConfigurationError as wrong:
            self._refuse(wrong.problems)
        except Exception as error:
            # A defect of ours must not end the thread: the next reading may succeed.
            log.exception("settings_unreadable", error=type(error).__name__)
            self._refuse([f"the settings could not be read ({type(error).__name__})"])
        else:
            self._refused = ""
        self._stopping.wait(min(_LONGEST_REST_S, _FREE_TIME * (time.monotonic() - began)))
        return not self._refused

    def _refuse(self, problems: list[str]) -> None:
        self._refused = "; ".join(problems)[:_LONGEST_REASON]
        log.error("settings_refused", problems=problems[:_MOST_NAMED], in_force=self._version)

    def _follow(self, read: Settings) -> None:
        change = change_of(self._current.settings, read)
        self._check(change.settings)
        self._needs_restart = change.needs_restart
        self._read_at = time.time()
        if change.changed:
            metrics.know([*change.settings.pbx, *target_names(change.settings)])
            self._hopper.adopt(change.settings)
            self._current.settings = change.settings
            logs.set_level(change.settings.log_level)
            self._version = version_of(change.settings)
        log.info("settings_reloaded", version=self._version, changed=_some(change.changed))
        if change.needs_restart:
            log.warning("settings_need_restart", settings=_some(change.needs_restart))

    def _run(self) -> None:
        look_at = 0.0
        while not self._stopping.is_set():
            if signals.hung_up(within_s=_SLICE_S):
                self.reload()
                self._hung_up()
                look_at = 0.0
            if time.monotonic() >= look_at:
                self._look()
                look_at = time.monotonic() + _EVERY_S
        if self._name:
            try:
                self._hopper.leave_reports(self._name, ttl_s=_REPORT_TTL_S)
            except redis.RedisError:
                log.debug("redis_away", thread="reload")  # the report runs out by itself

    def _look(self) -> None:
        """Report, and reload as long as requests are unfollowed; a Redis that is away is asked again later."""
        try:
            while (asked := self._report()) > self._followed and not self._stopping.is_set():
                # Asked before the reading: one that is asked meanwhile leads to another.
                self.reload()
                self._followed = asked
        except redis.RedisError:
            log.debug("redis_away", thread="reload")

    def _report(self) -> int:
        if not self._name:
            return self._hopper.reloads_asked()
        report = SettingsReport(
            process=self._name,
            version=self._version,
            asked=self._followed,
            read_at=self._read_at,
            refused=self._refused,
            needs_restart=self._needs_restart[:_MOST_NAMED],
            differs=self._differences(),
        )
        return self._hopper.report_settings(report, ttl_s=_REPORT_TTL_S)


def _some(names: tuple[str, ...]) -> list[str]:
    more = len(names) - _MOST_NAMED
    return [*names[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
