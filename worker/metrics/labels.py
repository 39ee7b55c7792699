"""What may stand in a label: a bounded set of words, and never a number that belongs to a call or a person."""

import re
from functools import cache

from worker.jobs import PBX_NAME

OTHER = "other"
# Words of ours that stand where a PBX gave no code: those of attempts, and those of jobs that ended otherwise.
OWN_WORDS = frozenset(
    {
        *("unreachable", "no_reply", "reply_lost", "unreadable", "too_late", "none", "login", "not_configured"),
        *(
            "replicas_missing",
            "out_of_files",
            "worker_lost",
            "damaged",
            "resolved",
            "unreported",
            "internal_error",
        ),
        *("invalid_number", "emergency_number", "premium_number", "country_not_allowed", "service_code"),
        *("unknown_user", "invalid_extension", "invalid_field", "expired"),
    }
)
# Why `claim.lua` and `dialing` send a job back to its lane without an attempt.
PARK_REASONS = frozenset({"later version", "pbx not known", "paused", "breaker", "pacing", "log-in", "held"})
_HTTP_STATUS = re.compile(r"http_[1-5][0-9]{2}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NAME = re.compile(PBX_NAME)
_MANY_DIGITS = re.compile(r"[0-9]{4}")


def errno_label(errno: str | None) -> str:
    """
    Return the label for a PBX's code or a word of ours: itself if it is known, empty for none, else `other`.

    A PBX may answer with any text for a code, and a record may hold any: neither makes a series of its own.
    """
    if not errno:
        return ""
    known = errno in OWN_WORDS or errno in known_codes() or _HTTP_STATUS.fullmatch(errno)
    return errno if known else OTHER


def reason_label(reason: str) -> str:
    """Return the label for why a job was sent back to its lane; an errno, or a word of the pacing."""
    return reason.replace(" ", "_") if reason in PARK_REASONS else errno_label(reason)


def name_label(name: str, known: frozenset[str]) -> str:
    """
    Return the label for the name of a PBX or an endpoint.

    Args:
        name: As a record or a delivery has it; empty for a refused job without a PBX.
        known: The names in the settings. Another one may be in those of another host; one that could be a number
            is not taken from a record, which somebody may have spoiled.
    """
    if not name or name in known:
        return name
    plain = name.removeprefix("source:")
    return name if _NAME.fullmatch(plain) and not _MANY_DIGITS.search(plain) else OTHER


def method_label(method: str) -> str:
    """Return the label for an HTTP method; a client may send any word."""
    return method if method in _METHODS else OTHER


@cache
def known_codes() -> frozenset[str]:
    """Return the codes of all PBX families."""
    # `worker.pbx` counts what it does, and so imports this package.
    from worker.pbx.codes import CODES  # noqa: PLC0415

    return frozenset(CODES)
