"""What the fields of a dial job may hold, whatever door they come by, and sentences about those that are wrong."""

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, ValidationError
from pydantic_core import PydanticCustomError

# As many digits as a telephone number may have (E.164), and no more than every JSON parser keeps.
LONGEST_INTEGER = 10**15 - 1
MOST_METADATA, LONGEST_NAME, LONGEST_TEXT = 32, 64, 500

# ISO 8601 with its offset; a blank for the T, as databases write it, and no seconds are understood as well.
TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
_TIME = re.compile(TIME)
_LONGEST_SHOWN = 60
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+")

_EXPECTED = {
    "extid": "1 to 10 digits",
    "outto": "a telephone number as text, with + and country code",
    "outto.number": "a telephone number as text; numbers with a point, an exponent or over 15 digits lose digits",
    "autoanswer": "yes or no",
    "pbx": "the name of a PBX in the settings (a-z 0-9 _ -)",
    "priority": "urgent, normal or bulk",
    "key": "1 to 200 characters",
    "not_before": "a time with its offset, such as 2026-11-23T09:00:00Z",
    "expires_at": "a time with its offset, such as 2026-11-23T17:00:00Z",
    "on_unknown": "hold or redial",
    "metadata": f"a flat object of at most {MOST_METADATA} texts",
    "metadata.name": f"a name of at most {LONGEST_NAME} characters",
    "metadata.text": f"text of at most {LONGEST_TEXT} characters",
}


# --- types


def digits_given_as_int(value: Any) -> Any:
    """
    Return an integer that stands for digits as their text, and anything else as it is.

    A fraction or an exponent, or more digits than a parser keeps, may have lost some: such numbers stay, and are
    refused.
    """
    is_digits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LONGEST_INTEGER
    return str(value) if is_digits else value


def yes_or_no(value: Any) -> Any:
    """Return true and false, also as text, as yes and no, and anything else as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def in_lower_case(value: Any) -> Any:
    """Return text in lower case, and anything else as it is."""
    return value.lower() if isinstance(value, str) else value


def without_absent(fields: Any) -> Any:
    """Return the fields of a job without those that are None, which means that they are not given."""
    if isinstance(fields, dict) and None in fields.values():
        return {name: value for name, value in fields.items() if value is not None}
    return fields


def _entries_given(metadata: Any) -> Any:
    return without_absent(metadata)


def _written_with_offset(value: Any) -> Any:
    """Refuse what would have to be guessed: numbers, whose unit and epoch vary, days, and times without offset."""
    if isinstance(value, datetime) or (isinstance(value, str) and _TIME.fullmatch(value)):
        return value
    raise PydanticCustomError("time", "not a time")


def _has_a_time_in_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:  # the first hours of year 1, and the last of 9999
        raise PydanticCustomError("moment_out_of_range", "has no time in UTC") from None
    return moment


def _can_be_encoded(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PydanticCustomError("unicode", "not Unicode") from None
    return text


def iso_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[AwareDatetime, AfterValidator(_has_a_time_in_utc), PlainSerializer(iso_utc, when_used="json")]
GivenTime = Annotated[Moment, BeforeValidator(_written_with_offset)]
Digits = Annotated[str, BeforeValidator(digits_given_as_int)]
_Text = Annotated[str, AfterValidator(_can_be_encoded)]
Metadata = Annotated[
    dict[Annotated[_Text, Field(max_length=LONGEST_NAME)], Annotated[_Text, Field(max_length=LONGEST_TEXT)]],
    BeforeValidator(_entries_given),
    Field(max_length=MOST_METADATA),
]


# --- sentences


def shown(field: str, value: Any) -> str:
    """
    Return a value for an error sentence: text in quotes, anything else as JSON writes it.

    Digits of a telephone number are masked but for the last two; what is long is cut.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if field == "outto":
        text = re.sub(r"[0-9](?=.*[0-9].*[0-9])", "x", text)
    text = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
    return repr(text) if isinstance(value, str) else text


def sentences_of(
    refused: ValidationError,
    known: Collection[str],
    *,
    what: str = "a dial job",
    right: Mapping[str, str] = _EXPECTED,
) -> list[str]:
    """
    Return one sentence for each wrong field, which begins with its name.

    Args:
        refused: What pydantic found.
        known: The names of all fields.
        what: The thing whose fields they are.
        right: What would be right for each of them, as the end of a sentence.
    """
    problems = refused.errors(include_url=False, include_context=False)
    return [_sentence(problem, known, what, right) for problem in problems]


def _sentence(problem: Any, known: Collection[str], what: str, right: Mapping[str, str]) -> str:
    field, *inner = (str(step) for step in problem["loc"])
    kind, value = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return f"{field}: is not a field of {what}; expected {', '.join(known)}"
    if kind == "missing":
        return f"{field}: is missing; expected {right[field]}"
    if kind == "too_early":
        return f"{field}: {shown(field, value)} is too early; expected {problem['msg']}"
    if isinstance(value, ValueError):  # the source of a row could not read it
        return f"{field}: {value}"
    if inner:
        part = "metadata.name" if inner[-1] == "[key]" else "metadata.text"
        return f"{field}.{_name(inner[0])}: {shown(field, value)} is invalid; expected {right[part]}"
    is_number = field == "outto" and isinstance(value, int | float) and not isinstance(value, bool)
    return f"{field}: {shown(field, value)} is invalid; expected {right['outto.number' if is_number else field]}"


def _name(name: str) -> str:
    """Return the name of an entry of metadata, in quotes where it has other signs than names usually have."""
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."
    return short if _PLAIN_NAME.fullmatch(short) else json.dumps(short)
