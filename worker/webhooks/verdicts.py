"""What an attempt to tell a result came to, and when the next is made: decisions as values."""

from collections.abc import Container, Sequence
from datetime import datetime

from worker.hopper import Ending
from worker.retry_after import retry_after_s
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
    error = heard.error if isinstance(heard, NoReply) else answer_words(heard.status, is_own_call=is_own_call)
    if is_own_call and isinstance(heard, Reply) and heard.status in _REFUSES_THE_CALL:
        return Ending("dead", error=error)
    if isinstance(heard, Reply) and heard.status == 410:
        return Ending("dead", error=error, blames=True, disable="it says that it is gone for good (HTTP 410)")
    asked_s = retry_after_s(heard.retry_after, now=now, most_s=LONGEST_WISH_S) if isinstance(heard, Reply) else 0.0
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


def answer_words(status: int, *, is_own_call: bool = False) -> str:
    """
    Return what an HTTP status of an endpoint means and what to do about it, as `HTTP status: problem; advice`.

    `outdial webhooks list`, `outdial webhooks test`, the doctor and the log all use these words.

    Args:
        status: Of the final reply, 200 to 999.
        is_own_call: It answered the CRM's own call, whose address and token are settings of its source.

    Source: RFC 9110, section 15; RFC 6585 for 429; standardwebhooks specification 1.0.0 for 410.
    """
    words = next((words for statuses, words in _WORDS if status in statuses), "")
    if not words:
        return f"HTTP {status}"
    names = _OF_A_SOURCE if is_own_call else _OF_AN_ENDPOINT
    return f"HTTP {status}: {words.format(**names)}"


_OF_AN_ENDPOINT = {
    "address": "url",
    "secrets": "the secret and the headers",
    "remove": "remove the endpoint from the settings",
}
_OF_A_SOURCE = {
    "address": "the address in its [source] section",
    "secrets": "the token and the headers in its [source] section",
    "remove": "stop sending results to it",
}
# The first row that has the status counts.
_WORDS: tuple[tuple[Container[int], str], ...] = (
    ((304,), "it took the call for the request of a page; set {address} to the address that receives results"),
    (range(300, 400), "redirects are not followed; set {address} to the final address"),
    ((400, 422), "it rejected the content of the call; see its log, and check that it expects this kind of event"),
    ((401, 403), "it rejected the sender; compare {secrets} on both sides, and check any firewall in front of it"),
    ((402,), "it requires a payment; check the account there"),
    ((404,), "it has nothing at this path; correct the path in {address}"),
    ((405, 501), "it does not accept this method at this path; correct the path in {address}"),
    ((406, 415), "it does not accept this content type; configure it for the type that is sent"),
    ((407,), "a proxy in front of it requires a log-in; exempt the calls of outdial from it"),
    ((408,), "it timed out while it read the call; check the network and its load"),
    ((409,), "it reports a conflict; let it answer 2xx to a call that it already has"),
    ((410,), "it is gone for good; set {address} to its new address, or {remove}"),
    ((411, 412, 417, 426, 428, 505), "it requires another form of HTTP; check what is in front of it"),
    ((413, 414, 431), "the call is too large for it; raise the limit of its server"),
    ((421,), "its server does not serve this host name; correct the host name in {address}"),
    ((425, 429), "it asks for fewer calls; raise its limit, or lower max_in_flight"),
    ((451,), "it refuses for legal reasons; ask its operator"),
    (range(400, 500), "it rejected the call; see its log"),
    ((502, 504), "the proxy in front of it got no answer from it; check that it is running"),
    ((503,), "it is overloaded or down for maintenance; check that it is running"),
    (range(500, 600), "it failed to handle the call; see its log"),
    (range(600, 1000), "this is not a status of HTTP; check that {address} leads to a web server"),
)
