"""The `Retry-After` header of an HTTP reply."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(header: str | None, *, now: datetime, most_s: float) -> float:
    """
    Return the seconds that a `Retry-After` header asks for; 0 for a header that cannot be read or has passed.

    Args:
        header: Seconds or an HTTP date, as it came; None if the reply had none.
        now: The present time.
        most_s: A longer rest is taken as this.

    Source: RFC 9110, section 10.2.3.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return min(most_s, float(text[:10]))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(most_s, max(0.0, (aware - now).total_seconds()))
