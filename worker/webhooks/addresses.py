"""Which addresses a call may go to: those of the open internet, and those an operator allows."""

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from worker.webhooks.endpoints import Network

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int, float], Sequence[str]]

# Ranges of special purpose that `is_global` lets through on some Python since 3.11, or that lead to IPv4 addresses
# by another name. Source: the IANA special-purpose address registries, RFC 6890 and its updates.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_UNICAST = ip_network("2000::/3")
# An IPv4 address stands in the last 32 bits: of names that have no other on hosts without IPv4 (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")


class NotResolved(OSError):
    """The name has no address, or nobody said one in time."""


def is_public(address: Address) -> bool:
    """
    Return whether an address belongs to the open internet, under whatever name it is written.

    NAT64's well-known prefix and IPv4-mapped addresses are judged by the IPv4 address in them; other forms that
    hold one (IPv4-compatible, 6to4, Teredo, local NAT64) are refused.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return False
        inner = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if inner is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    special = address.is_multicast or address.is_reserved or address.is_private
    return address.is_global and not special and not any(address in network for network in _SPECIAL)


def may_be_called(text: str, allowed: Sequence[Network]) -> bool:
    """
    Return whether a call may go to this address: a public one, or in a network that the operator allows.

    Args:
        text: As a resolver gives it.
        allowed: Networks; those of IPv4 do not allow IPv6 forms of their addresses.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return is_public(address) or any(address in network for network in allowed)


def resolve(host: str, port: int, within_s: float) -> list[str]:
    """
    Return the addresses of a name, each once, in the order in which the system would try them.

    The system's resolver knows no deadline, so it is asked in a thread that is left behind when it takes too long.

    Args:
        host: A name, or an address, which is its own.
        port: Where the call goes.
        within_s: How long to wait.

    Raises:
        NotResolved: If there is none, or not in time.
    """
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        addresses = answers.get(timeout=max(0.0, within_s))
    except queue.Empty:
        raise NotResolved("its name was not resolved in time") from None
    if not addresses:
        raise NotResolved("its name is not known")
    return addresses
