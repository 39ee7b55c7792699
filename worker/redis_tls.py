"""Why TLS with Redis failed, and what to do about it; reads the errors of redis-py."""

import re
import ssl

import redis

from worker.redis_address import RedisAddress
from worker.tls_peers import REDIS
from worker.tls_problems import links
from worker.tls_problems import tls_problem as problem_of

# How redis-py begins the text of an error before the connection stood; of a unix socket it names the path.
_CONNECTING = re.compile(r"Error .*\bconnecting to [^/]|Timeout connecting\b")


def tls_problem(error: BaseException) -> str:
    """Return why TLS with Redis failed and what to set, as `problem; advice`; empty if *error* is no TLS error."""
    return problem_of(error, REDIS, in_handshake=_CONNECTING.match(str(error)) is not None)


def sentinel_problem(address: RedisAddress) -> str:
    """
    Ask the sentinels, and return why TLS with one of them failed, as `problem; advice`; empty if with none.

    Where no sentinel answers, redis-py raises an error of its own and drops theirs.
    """
    for host, port in address.hosts if address.master else ():
        try:
            with redis.Redis(host=host, port=port, **address.sentinel_options) as sentinel:
                sentinel.ping()
        except redis.RedisError as error:
            if problem := tls_problem(error):
                return problem
    return ""


def likely_problem(error: BaseException, address: RedisAddress) -> str:
    """
    Return what probably keeps the first connection to Redis from working, as `problem; advice`; empty if nothing.

    A TLS port closes plain connections without an answer. With TLS 1.3 Redis checks a client certificate after the
    client has finished its handshake, and the close may discard the alert of Redis about it.

    Args:
        error: What the first command on the connection ended in.
        address: Where it went.
    """
    if not isinstance(error, redis.ConnectionError) or not _is_broken(error) or address.socket:
        return ""
    if not address.tls:
        return "it closed the connection; if the port speaks TLS, begin redis_url with rediss://"
    closed = "it closed the connection right after the TLS handshake"
    if "ssl_certfile" not in address.tls_files:
        return f"{closed}; if it wants a client certificate, {REDIS.client}"
    return f"{closed}; see in its log whether it accepts {REDIS.certfile}"


def _is_broken(error: BaseException) -> bool:
    broken = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
    return str(error).startswith("Connection closed") or any(isinstance(link, broken) for link in links(error))
