"""Faults of the network: the ways from crews and producer to Redis, and from the crews to each PBX."""

import random
from collections.abc import Callable
from typing import Final

from ops.chaos.faults.fault import Act, Fault, Struck
from ops.chaos.site import CREWS, PBXS, PRODUCER, Site
from ops.tcp_proxy import TcpProxy
from worker.hopper.connection import SOCKET_TIMEOUT_S

# An idle connection to a PBX is used again within a second, and a reply waited for for two.
_DEAF_S = 4.0
_TO_REDIS: Final = tuple(f"{name} to redis" for name in (*CREWS, PRODUCER))
_TO_PBX: Final = tuple(f"way to {name}" for name in PBXS)


def _path(site: Site, part: str) -> TcpProxy:
    return (
        site.pbx_paths[part.rsplit(maxsplit=1)[-1]]
        if part in _TO_PBX
        else site.redis_paths[part.split(maxsplit=1)[0]]
    )


def _for_a_while(spoil: Callable[[TcpProxy], None], least_s: float, most_s: float) -> Act:
    def act(site: Site, part: str, dice: random.Random) -> Struck:
        path, seconds = _path(site, part), dice.uniform(least_s, most_s)
        spoil(path)
        try:
            site.rest(seconds)
        finally:
            path.pass_on()
            # Half of the time somebody resets the connections that went deaf; else the product must notice.
            if dice.random() < 0.5:
                path.cut()
        return Struck(f"{seconds:.1f} s")

    return act


def lose_replies_of_steps(site: Site, part: str, dice: random.Random) -> Struck:
    """Redis does what it was asked, and the connection breaks before anybody hears of it."""
    path, before = _path(site, part), _path(site, part).lost_replies
    path.lose_next_reply(times=dice.randint(1, 5), to=b"EVALSHA")
    site.rest(dice.uniform(0.5, 2))
    path.pass_on()
    return Struck(f"{path.lost_replies - before} replies")


def _refuse_and_cut(path: TcpProxy) -> None:
    path.refuse()
    path.cut()


def _redis_path(spoil: Callable[[TcpProxy], None], most_s: float, weight: float = 1) -> Fault:
    # A connection that went deaf is found out after the socket time-out only.
    act = _for_a_while(spoil, 0.5, most_s)
    return Fault(act, _TO_REDIS, most_s, weight=weight, spoils=True, lingers_s=SOCKET_TIMEOUT_S + 2)


def _pbx_path(spoil: Callable[[TcpProxy], None], most_s: float, *, stops_dialing: bool = False) -> Fault:
    act = _for_a_while(spoil, 0.1, most_s)
    return Fault(act, _TO_PBX, most_s, weight=2, stops_dialing=stops_dialing, spoils=True, lingers_s=_DEAF_S)


FAULTS: Final = {
    "redis replies of steps lost": Fault(lose_replies_of_steps, _TO_REDIS, 2, weight=4),
    "redis replies swallowed": _redis_path(TcpProxy.swallow_replies, 3),
    "redis path dead": _redis_path(TcpProxy.swallow_all, 3),
    "redis path held": _redis_path(TcpProxy.hold, 4),
    "redis path refused": _redis_path(_refuse_and_cut, 3),
    "pbx path refused": _pbx_path(_refuse_and_cut, 3, stops_dialing=True),
    # Longer than the read time-out: requests reach the PBX when their senders have long given up.
    "pbx path held": _pbx_path(TcpProxy.hold, 4, stops_dialing=True),
    "pbx replies swallowed": _pbx_path(TcpProxy.swallow_replies, 2),
    "pbx connections cut": _pbx_path(TcpProxy.cut, 0.2),
}
