"""How long a connection is waited for, and for how much of it: the decisions, without a connection."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Patience:
    """
    What a connection may bring and take; times in seconds.

    Args:
        head_s: For the head of a request, from its first byte or from the connection's beginning.
        idle_s: Between two requests.
        rest_s: For the rest of a body whose request has been answered already.
        quiet_s: That rest is given up after so long without a byte.
        unread_s: In which a client must read 48 KiB or all there is of its answer.
        rest_bytes: Of such a rest.
        url_bytes: Of a request's target.
        head_bytes: Of target, header fields and trailers together.
        fields: Header fields and trailers.
        requests: That may wait for the answer to one before them.
        connections: Of this process; further ones are answered with 503.
    """

    head_s: float = 10.0
    idle_s: float = 20.0
    rest_s: float = 5.0
    quiet_s: float = 1.0
    unread_s: float = 30.0
    rest_bytes: int = 64 * 2**20
    url_bytes: int = 8 * 2**10
    head_bytes: int = 32 * 2**10
    fields: int = 100
    requests: int = 20
    connections: int = 1000


class Verdict(StrEnum):
    """What is to be done about a connection now."""

    WAIT = "wait"
    TELL = "tell"  # that the request did not come in time
    CLOSE = "close"
    CUT = "cut"  # nobody reads what would still have to be sent


@dataclass(slots=True)
class Course:
    """
    Where a connection is; times are of a monotonic clock, None while there is nothing to wait for.

    `idle_since`: no request has begun since. `head_since`: the head of one is awaited since. `rest_since`: its
    answer is out, the rest of its body comes, and the last of that at `rest_at`. `unread_since`: the answer waits
    for its reader. `is_ending`: no further request is served.
    """

    idle_since: float | None = None
    head_since: float | None = None
    rest_since: float | None = None
    rest_at: float = 0.0
    unread_since: float | None = None
    is_ending: bool = False


def verdict(course: Course, now: float, patience: Patience) -> Verdict:
    """Return what is to be done about a connection."""

    def over(since: float | None, seconds: float) -> bool:
        return since is not None and now - since >= seconds

    if over(course.unread_since, patience.unread_s):
        return Verdict.CUT
    if course.rest_since is not None:
        is_over = over(course.rest_since, patience.rest_s) or over(course.rest_at, patience.quiet_s)
        return Verdict.CLOSE if is_over else Verdict.WAIT
    if over(course.head_since, patience.head_s):
        return Verdict.TELL
    return Verdict.CLOSE if over(course.idle_since, patience.idle_s) else Verdict.WAIT
