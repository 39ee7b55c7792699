"""What an attempt to tell a result came to, and when the next is made: decisions as values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from worker.hopper import Ending
from worker.webhooks.transport import NoReply, Reply

# A longer wish is taken as this: somebody's slip must not hold results back for a year.
LONGEST_WISH_S = 86_400.0
# So far to both sides, so that what failed together is not tried together.
_JITTER = 0.2
# Standard Webhooks 1.0, "Response status codes": slow down.
_SLOW_DOWN = (429, 503)
# What it is about is wrong or not there (any more); not who asks, or how often.
_REFUSES_THE_CALL = (400, 404, 405, 409, 410, 413, 422)


def ending_of(
    heard: Reply | NoReply,
    *,
    attempts: int,
    retry_s: Sequence[float],
    roll: float,
    now: datetime,
    is_own_call: bool = False,
) -> Ending:
    """
    Decide what becomes of a delivery.

    Only a 2xx is a success. 410 disables the endpoint; all else is tried again, a redirect and a refusal too, for
    an operator may mend what makes them. `Retry-After` is a lower bound, with 429 and 503 for the whole endpoint.

    Args:
        heard: What came back.
        attempts: Tries made, this one included; 1 or more.
        retry_s: The waits between them; after the last the delivery is given up.
        roll: Where in the jitter to land, in [0, 1).
        now: The present time, for dates in `Retry-After`.
        is_own_call: It was the CRM's own call. Where it refuses what that call says, it would refuse it again, and
            that says nothing of other calls: the delivery alone is given up.

    Source: standardwebhooks specification 1.0.0, sections on failures and retries; RFC 9110, section 10.2.3.
    """
    if isinstance(heard, Reply) and 200 <= heard.status < 300:
        return Ending("delivered")
    error = heard.error if isinstance(heard, NoReply) else _words(heard.status)
    if is_own_call and isinstance(heard, Reply) and heard.status in _REFUSES_THE_CALL:
        return Ending("dead", error=error)
    if isinstance(heard, Reply) and heard.status == 410:
        return Ending("dead", error=error, blames=True, disable="it says that it is gone for good (HTTP 410)")
    asked_s = retry_after_s(heard.retry_after, now=now) if isinstance(heard, Reply) else 0.0
    rest_s = asked_s if isinstance(heard, Reply) and heard.status in _SLOW_DOWN else 0.0
    if attempts > len(retry_s):
        return Ending("dead", rest_s=rest_s, error=f"given up after {attempts} attempts: {error}", blames=True)
    delay_s = max(next_wait(attempts, retry_s=retry_s, roll=roll), asked_s)
    return Ending("again", delay_s=delay_s, rest_s=rest_s, error=error, blames=True)


def next_wait(attempts: int, *, retry_s: Sequence[float], roll: float) -> float:
    """
    Return the rest before the next attempt, in seconds: that of the schedule, a fifth more or less.

    Args:
        attempts: Tries made; 1 to the length of *retry_s*.
        retry_s: The schedule.
        roll: Where to land, in [0, 1).
    """
    return retry_s[attempts - 1] * (1 - _JITTER + 2 * _JITTER * roll)


def retry_after_s(header: str | None, *, now: datetime) -> float:
    """
    Return the seconds that a `Retry-After` header asks for, a day at most; 0 where it says nothing of use.

    Args:
        header: Seconds or an HTTP date, as it came.
        now: The present time.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return min(LONGEST_WISH_S, float(text[:10]))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(LONGEST_WISH_S, max(0.0, (aware - now).total_seconds()))


def _words(status: int) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed; set url to the final address"
    if status in (401, 403):
        return f"HTTP {status}: it refuses; look at the secret and the headers on both sides"
    return f"HTTP {status}"
