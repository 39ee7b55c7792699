"""Faults of a PBX: wrong answers, no answers, and going down."""

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import requests

from ops.chaos.faults.fault import Act, Fault, Missed, Struck
from ops.chaos.site import PBXS, Site
from ops.installation import eventually

_WAIT_S = 4.0


def _answers(*, most: int = 3, **rule: Any) -> Act:
    """The next one to *most* requests of a kind meet a rule of the simulator, if they come in time."""

    def act(site: Site, part: str, dice: random.Random) -> Struck:
        pbx, times = site.installation.pbxs[part], dice.randint(1, most)
        pbx.fault(times=times, **rule)
        left = times
        for _ in range(int(_WAIT_S / 0.2)):
            site.rest(0.2)
            with suppress(requests.ConnectionError):  # a rule may have restarted it
                left = int(pbx.control("faults")["faults"][-1]["left"])
            if not left:
                break
        pbx.heal()
        if left == times:
            raise Missed("no request came")
        return Struck(f"{times - left} requests")

    return act


def stop_service(site: Site, part: str, dice: random.Random) -> Struck:
    """The PBX answers, and its API service is not running."""
    pbx, seconds = site.installation.pbxs[part], dice.uniform(1, 3)
    pbx.fault(kind="errno", errno="30003", times=None)
    site.rest(seconds)
    pbx.heal()
    return Struck(f"{seconds:.1f} s")


def _for_seconds(least_s: float, most_s: float, *rules: Mapping[str, Any]) -> Act:
    """Every dial meets one of some rules for a while."""

    def act(site: Site, part: str, dice: random.Random) -> Struck:
        pbx, seconds = site.installation.pbxs[part], dice.uniform(least_s, most_s)
        rule = dice.choice(rules)
        pbx.fault(**{"resource": "dial_outbound", "times": None, **rule})
        site.rest(seconds)
        with suppress(requests.ConnectionError):  # another fault restarts it
            pbx.heal()
        return Struck(f"{seconds:.1f} s of {rule.get('status') or rule.get('errno')}")

    return act


def lose_token(site: Site, part: str, dice: random.Random) -> None:  # noqa: ARG001
    """The PBX forgets who logged in."""
    site.installation.pbxs[part].control("tokens/forget", {})


def restart_pbx(site: Site, part: str, dice: random.Random) -> None:  # noqa: ARG001
    """The PBX loses power for two seconds: tokens and calls are gone."""
    pbx = site.installation.pbxs[part]
    pbx.control("restart", {"down_s": 2})
    site.rest(2)

    def is_back() -> bool:
        with suppress(requests.RequestException):
            pbx.control("state")
            return True
        return False

    eventually(is_back, within_s=10)


def _restart_after_ring(site: Site, part: str, dice: random.Random) -> Struck:
    """The phone rings, and the PBX dies of it: afterwards it looks as if nothing had rung."""
    struck = _RESTARTED_BY_A_CALL(site, part, dice)
    site.rest(0.5)
    assert struck is not None, "it would have been missed"
    return struck


# Back at once, so that a hasty look finds an idle extension before it gives the job up.
_RESTARTED_BY_A_CALL = _answers(most=1, kind="restart", ring=True, delay_s=0.2)
_UNTIL_USED_S = 1.5

FAULTS: Final = {
    "reply cut after ring": Fault(_answers(kind="drop_after_ring"), PBXS, _UNTIL_USED_S, weight=5),
    "reply cut before ring": Fault(_answers(kind="drop_before_ring"), PBXS, _UNTIL_USED_S, weight=2),
    "hang after ring": Fault(_answers(kind="hang", ring=True), PBXS, _UNTIL_USED_S, weight=5),
    "hang before ring": Fault(_answers(kind="hang"), PBXS, _UNTIL_USED_S),
    "reply late": Fault(_answers(kind="delay", delay_s=2.5), PBXS, _UNTIL_USED_S, weight=2),
    "reply slow": Fault(_answers(kind="delay", delay_s=1), PBXS, _UNTIL_USED_S),
    "reply dripping": Fault(_answers(kind="slow_body", delay_s=0.3), PBXS, _UNTIL_USED_S),
    "garbage after ring": Fault(_answers(kind="garbage", ring=True), PBXS, _UNTIL_USED_S, weight=3),
    "http 502 after ring": Fault(
        _answers(kind="http_status", status=502, ring=True), PBXS, _UNTIL_USED_S, weight=3
    ),
    "30001 after ring": Fault(_answers(kind="errno", errno="30001", ring=True), PBXS, _UNTIL_USED_S, weight=3),
    "30001": Fault(_answers(kind="errno", errno="30001"), PBXS, _UNTIL_USED_S, weight=3),
    "20010": Fault(_answers(kind="errno", errno="20010"), PBXS, _UNTIL_USED_S, weight=2),
    "10008": Fault(_answers(kind="errno", errno="10008"), PBXS, _UNTIL_USED_S),
    "http 503 before ring": Fault(_answers(kind="http_status", status=503), PBXS, _UNTIL_USED_S),
    "look cut": Fault(_answers(kind="drop_before_ring", resource="outbound/query"), PBXS, _WAIT_S),
    "look hangs": Fault(_answers(kind="hang", resource="extensionlist/query"), PBXS, _WAIT_S),
    "all agents busy": Fault(_for_seconds(2, 6, {"kind": "errno", "errno": "10008"}), PBXS, 6, weight=2),
    "all lines busy": Fault(_for_seconds(1, 4, {"kind": "errno", "errno": "10027"}), PBXS, 4),
    "web server refuses": Fault(
        _for_seconds(2, 5, *({"kind": "http_status", "status": status} for status in (401, 403, 404, 405, 413))),
        PBXS,
        5,
        weight=3,
        stops_dialing=True,
    ),
    "too many requests": Fault(
        _for_seconds(0.3, 1, {"kind": "http_status", "status": 429, "retry_after": "2"}),
        PBXS,
        3,
        stops_dialing=True,
    ),
    "no permission": Fault(_for_seconds(1, 3, {"kind": "errno", "errno": "10003"}), PBXS, 3, stops_dialing=True),
    "service stopped": Fault(stop_service, PBXS, 2, stops_dialing=True),
    "token lost": Fault(lose_token, PBXS, 5, stops_dialing=True),
    "pbx restarted after ring": Fault(_restart_after_ring, PBXS, 2, weight=4, stops_dialing=True, spoils=True),
    "pbx restarted": Fault(restart_pbx, PBXS, 3, stops_dialing=True, spoils=True),
}
