"""Times as people type them: a date, `yesterday`, a time of today, so long ago, or ISO 8601."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import click

# From the present time to the time that is meant, both in unix seconds.
GivenTime = Callable[[float], float]

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(r"([0-9]{1,9})([smhdw])")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_DAYS_AGO = {"today": 0, "yesterday": 1}
_ZONE = "producers.commands.times.zone"
EXPECTED = (
    "a date (2026-11-30), yesterday, today, 09:30, an ISO time (2026-11-30T09:30) or a duration (10m, 2h, 1d)"
)


class UnclearTime(ValueError):
    """A local time that clocks never show, or show twice."""


class ZoneValue(click.ParamType[ZoneInfo]):
    """A time zone by its IANA name, such as Europe/Berlin."""

    name = "ZONE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Return the zone, and keep it for the times on the same command line."""
        if isinstance(value, ZoneInfo):
            return value
        try:
            zone = ZoneInfo(str(value))
        except (ValueError, OSError, KeyError):
            self.fail(
                f"{str(value)!r} is not a time zone; expected a name such as Europe/Berlin or UTC", param, ctx
            )
        if ctx is not None:
            ctx.meta[_ZONE] = zone
        return zone


class TimeValue(click.ParamType[GivenTime]):
    """
    A time in the past or the future.

    Without an offset it is a time of the zone that `--timezone` names, else of this machine.

    Args:
        is_end: A day stands for its end instead of its beginning.
    """

    name = "TIME"

    def __init__(self, *, is_end: bool = False) -> None:
        self._is_end = is_end

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> GivenTime:
        """Return a function from the present time to the time meant, both in unix seconds."""
        if callable(value):
            return value  # click converts a default twice
        text = str(value).strip()
        zone: tzinfo | None = ctx.meta.get(_ZONE) if ctx is not None else None
        try:
            return parse_time(text, zone, is_end=self._is_end)
        except UnclearTime as problem:
            self.fail(str(problem), param, ctx)
        except ValueError:
            self.fail(f"{text!r} is invalid; expected {EXPECTED}", param, ctx)


def parse_time(text: str, zone: tzinfo | None, *, is_end: bool = False) -> GivenTime:
    """
    Return a function from the present time to the time that *text* means, both in unix seconds.

    Args:
        text: As a person typed it.
        zone: That of times without an offset; None: that of this machine.
        is_end: A day stands for its end instead of its beginning.

    Raises:
        ValueError: If it is no such time; an `UnclearTime` if it is a local time that does not name one moment.
    """
    if text == "now":
        return lambda now: now
    if ago := _AGO.fullmatch(text):
        seconds = int(ago[1]) * _UNITS_S[ago[2]]
        return lambda now: max(0.0, now - seconds)
    if text in _DAYS_AGO:
        back = _DAYS_AGO[text] - is_end
        return lambda now: _start_of(_today(now, zone) - timedelta(days=back), zone)
    if clock := _CLOCK.fullmatch(text):
        moment = time(int(clock[1]), int(clock[2]))
        return lambda now: _unix_s(datetime.combine(_today(now, zone), moment), zone)
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        day = date.fromisoformat(text) + timedelta(days=is_end)
        return lambda _now: _start_of(day, zone)
    given = _iso(text)
    unix_s = max(0.0, given.timestamp() if given.tzinfo else _unix_s(given, zone))
    return lambda _now: unix_s


def _iso(text: str) -> datetime:
    # Only the extended form: 20261130 could be a number of anything.
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", text):
        raise ValueError("an ISO time begins with a date in its extended form")
    return datetime.fromisoformat(text)


def _today(now: float, zone: tzinfo | None) -> date:
    return datetime.fromtimestamp(now, UTC).astimezone(zone).date()


def _start_of(day: date, zone: tzinfo | None) -> float:
    # Where the clocks skip midnight or repeat it, this is the first moment of the day.
    return max(0.0, _aware(datetime.combine(day, time()), zone).timestamp())


def _unix_s(local: datetime, zone: tzinfo | None) -> float:
    """
    Return the moment at which clocks show *local*.

    Raises:
        UnclearTime: If they never show it, or twice.
    """
    first, second = (_aware(local.replace(fold=fold), zone) for fold in (0, 1))
    if first.timestamp() == second.timestamp():
        return first.timestamp()
    shown = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    what = "happens twice" if shown == local else "is skipped"
    name = zone or "this machine's time zone"
    raise UnclearTime(
        f"{local:%Y-%m-%d %H:%M} {what} in {name}, where the clocks change; add the offset, such as Z"
    )


def _aware(local: datetime, zone: tzinfo | None) -> datetime:
    return local.astimezone() if zone is None else local.replace(tzinfo=zone)


def chosen_zone() -> tzinfo | None:
    """Return the zone that `--timezone` names on this command line, None without it."""
    zone: tzinfo | None = click.get_current_context().meta.get(_ZONE)
    return zone


FROM = TimeValue()
UNTIL = TimeValue(is_end=True)
timezone_option = click.option(
    "--timezone",
    "zone",
    type=ZoneValue(),
    is_eager=True,
    expose_value=False,
    help="Zone of times without an offset, such as Europe/Berlin; by default that of this machine.",
)
