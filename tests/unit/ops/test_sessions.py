"""Tokens and locks of a simulated PBX over time, on a clock of the test's."""

from hashlib import md5

import pytest

from ops.pbx_simulator.codes import Refusal
from ops.pbx_simulator.sessions import WRONG_PASSWORDS_TO_LOCK, Sessions

LIFE_S, LOCK_S = 1800.0, 600.0
RIGHT, WRONG = (md5(text.encode()).hexdigest() for text in ("right", "wrong"))


class World:
    """A PBX's sessions, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sessions = Sessions(
            username="api",
            password="right",
            clock=lambda: self.now,
            token_life_s=LIFE_S,
            login_lock_s=LOCK_S,
            single_session=False,
        )

    def login(self, password: str = RIGHT, client_ip: str = "127.0.0.1") -> str:
        return self.sessions.login("api", password, client_ip=client_ip)


@pytest.fixture
def world() -> World:
    return World()


def test_a_token_slides_while_it_is_used_and_times_out_when_it_is_not(world: World) -> None:
    token = world.login()
    for _ in range(3):
        world.now += LIFE_S - 1
        world.sessions.renew(token)
    world.now += LIFE_S
    with pytest.raises(Refusal, match="20006"):
        world.sessions.renew(token)


def test_five_wrong_passwords_lock_one_address_for_its_time(world: World) -> None:
    for _ in range(WRONG_PASSWORDS_TO_LOCK):
        with pytest.raises(Refusal, match="20003"):
            world.login(WRONG)
    world.now += LOCK_S - 1
    with pytest.raises(Refusal, match="20002"):
        world.login()
    assert world.login(client_ip="127.0.0.2")
    world.now += 1
    assert world.login()
    assert world.sessions.logins == {"ok": 2, "failed": 5, "locked": 1}
