"""Values on the command line that click has no type for."""

import math
import re

import click

from producers.actor import LONGEST_NAME
from producers.masking import masked
from worker import jobs
from worker.hopper import LONGEST_REASON

_LONGEST_CALLID = 64
# As in `DialJob.metadata`.
_LONGEST_ENTRY_NAME = 64


class SecondsValue(click.ParamType[float]):
    """A number of seconds, 0 or more and no NaN; `inf` is one."""

    name = "SECONDS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not seconds >= 0:
            self.fail(f"{str(value)!r} is invalid; expected a number of seconds, 0 or more", param, ctx)
        return seconds


class EntryValue(click.ParamType[tuple[str, str]]):
    """One entry of the metadata: NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return name and text."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{str(value)!r} is invalid; expected NAME=VALUE", param, ctx)
        return name, text


class EntryNameValue(click.ParamType[str]):
    """The name of an entry of the metadata, written metadata.NAME as in lists."""

    name = "metadata.NAME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name alone."""
        prefix, dot, name = str(value).partition(".")
        if (prefix, dot) != ("metadata", ".") or not 1 <= len(name) <= _LONGEST_ENTRY_NAME:
            right = "metadata. and the name of an entry, such as metadata.campaign"
            self.fail(f"{str(value)!r} is invalid; expected {right}", param, ctx)
        return name


class HeaderValue(click.ParamType[tuple[str, str]]):
    """One header of a request: 'Name: value'."""

    name = "'NAME: VALUE'"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return name and value; what is wrong is not shown, for it may hold a token."""
        if isinstance(value, tuple):
            return value
        name, colon, text = str(value).partition(":")
        if not (name and colon and name.isascii() and name.isprintable() and " " not in name):
            self.fail("a header is invalid; expected 'Name: value'", param, ctx)
        return name, text.strip()


class CallidValue(click.ParamType[str]):
    """A PBX's id of a call: 1 to 64 printable characters without spaces."""

    name = "CALLID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id; what is wrong is masked where errors end, for it may be a telephone number."""
        text = str(value)
        is_right = 1 <= len(text) <= _LONGEST_CALLID and text.isprintable() and " " not in text
        # No PBX begins an id so, and people begin numbers so.
        if not is_right or text.startswith("+"):
            right = "the PBX's id of the call, 1 to 64 printable characters without spaces"
            self.fail(f"{text!r} is invalid; expected {right}", param, ctx)
        return text


class ExtidValue(click.ParamType[str]):
    """An extension: 1 to 10 digits."""

    name = "EXTID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the extension."""
        text = str(value)
        if not re.fullmatch(jobs.EXTID, text):
            self.fail(f"{text!r} is invalid; expected 1 to 10 digits", param, ctx)
        return text


class NameValue(click.ParamType[str]):
    """A person's name: 1 to 64 printable characters."""

    name = "NAME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, masked where it looks like a telephone number."""
        text = str(value).strip()
        if not (1 <= len(text) <= LONGEST_NAME and text.isprintable()):
            self.fail(f"{text!r} is invalid; expected 1 to {LONGEST_NAME} printable characters", param, ctx)
        return masked(text)


class ReasonValue(click.ParamType[str]):
    """Why a person acts, in a sentence."""

    name = "TEXT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; what keeps it masks numbers and secrets in it."""
        text = str(value).strip()
        if len(text) > LONGEST_REASON:
            self.fail(f"it has {len(text):,} characters; expected at most {LONGEST_REASON}", param, ctx)
        return text


CALLID = CallidValue()
EXTID = ExtidValue()
NAME = NameValue()
REASON = ReasonValue()
SECONDS = SecondsValue()
ENTRY = EntryValue()
ENTRY_NAME = EntryNameValue()
HEADER = HeaderValue()
