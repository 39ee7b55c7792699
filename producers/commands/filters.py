"""The options by which a person chooses jobs, the same for each command that takes them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from producers.commands.times import FROM, UNTIL, GivenTime, timezone_option
from producers.commands.values import ENTRY, EXTID
from producers.enqueue import Dialer
from worker.errors import InputRefused
from worker.hopper import JobFilter
from worker.jobs import JobState

# What people type for jobs of the command line and of Python, which have no origin.
_NO_ORIGIN = "cli"
_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person typed; times are functions of the present time."""

    states: tuple[str, ...]
    pbxs: tuple[str, ...]
    extids: tuple[str, ...]
    errnos: tuple[str, ...]
    origins: tuple[str, ...]
    key: str | None
    entries: tuple[tuple[str, str], ...]
    since: GivenTime | None
    until: GivenTime | None
    ended_since: GivenTime | None
    ended_until: GivenTime | None

    def __bool__(self) -> bool:
        """Whether anything was typed at all."""
        lists = (self.states, self.pbxs, self.extids, self.errnos, self.origins, self.key, self.entries)
        return any(lists) or any(moment is not None for moment in self._times())

    def filter(self, dialer: Dialer, *, states: Iterable[JobState] = ()) -> JobFilter:
        """
        Return the filter that is meant.

        Args:
            dialer: Knows the PBXs and the time.
            states: Those that are meant where none was typed.

        Raises:
            InputRefused: If a PBX is not known, or a name of metadata was typed twice.
        """
        for pbx in self.pbxs:
            if pbx not in dialer.settings.pbx and pbx not in dialer.hopper.known():
                raise InputRefused([f"pbx: {pbx!r} is not in the settings; choose one of {dialer.pbx_names()}"])
        metadata = dict(self.entries)
        if len(metadata) < len(self.entries):
            raise InputRefused(["--metadata: a name is given twice, and a job has one value for it"])
        now = dialer.hopper.now()
        since, before, ended_since, ended_before = (moment and moment(now) for moment in self._times())
        return JobFilter(
            states=tuple(JobState(state) for state in self.states) or tuple(states),
            pbxs=self.pbxs,
            origins=tuple("" if origin == _NO_ORIGIN else origin for origin in self.origins),
            extids=self.extids,
            errnos=self.errnos,
            key=self.key or "",
            metadata=metadata,
            since=since,
            before=before,
            ended_since=ended_since,
            ended_before=ended_before,
        )

    def _times(self) -> tuple[GivenTime | None, ...]:
        return self.since, self.until, self.ended_since, self.ended_until


def filter_options(
    *, pbx: str = "--pbx", states: Iterable[JobState] = tuple(JobState)
) -> Callable[[_Command], _Command]:
    """
    Give a subcommand the options of a filter, and what was typed as its argument `chosen`.

    Args:
        pbx: Name of the option that chooses by PBX.
        states: Those that may be chosen.
    """
    options = [
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice([str(state) for state in states]),
            help="In this state.",
        ),
        click.option(pbx, "pbxs", multiple=True, metavar="NAME", help="On this PBX."),
        click.option("--extid", "--extension", "extids", multiple=True, type=EXTID, help="Of this extension."),
        click.option("--errno", "errnos", multiple=True, metavar="CODE", help="Ended with this code."),
        click.option(
            "--origin",
            "origins",
            multiple=True,
            metavar="ORIGIN",
            help="From here: api:KEY, hook:NAME, or cli for the command line and Python.",
        ),
        click.option("--key", metavar="KEY", help="The job of this key."),
        click.option("--metadata", "entries", multiple=True, type=ENTRY, help="With this entry; repeat for more."),
        click.option("--since", type=FROM, help="Enqueued at or after: 2026-11-30, yesterday, 09:30, 2h, …"),
        click.option("--until", type=UNTIL, help="Enqueued before; a day means up to its end."),
        click.option("--ended-since", type=FROM, help="Ended at or after."),
        click.option("--ended-until", type=UNTIL, help="Ended before; a day means up to its end."),
        timezone_option,
    ]

    def decorated(command: _Command) -> _Command:
        @wraps(command)
        def with_chosen(*args: Any, **given: Any) -> None:
            fields = {name: given.pop(name) for name in Chosen.__dataclass_fields__}
            command(*args, chosen=Chosen(**fields), **given)

        for option in reversed(options):
            with_chosen = option(with_chosen)
        return with_chosen

    return decorated
