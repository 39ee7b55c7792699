"""The shared login and the PBX that cannot be reached: one login at a time, never a storm, no second lock-out."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import pbx_settings
from tests.integration.hopper.stage import Stage, eventually
from tests.integration.hopper.world import ModelledPbx
from worker.errors import OutOfFiles
from worker.hopper import Barred, Hopper, Login, Token, Wait, connect
from worker.pbx.session import PbxSession
from worker.settings import RetrySettings

Turn = Token | Login | Wait | Barred


def ask(hopper: Hopper, nonce: str, *, refused: int = -1, lease_s: float = 30, spacing_s: float = 0) -> Turn:
    return hopper.login_turn("pbx", refused=refused, nonce=nonce, lease_s=lease_s, spacing_s=spacing_s)


@pytest.fixture
def known(hopper: Hopper) -> Hopper:
    """A hopper that knows one PBX, which nobody has logged in to."""
    hopper.register("pbx", pbx_settings())
    return hopper


# --- one at a time -----------------------------------------------------------------------------------------


def test_of_32_threads_one_logs_in_and_all_get_its_token(known: Hopper, redis_server: object) -> None:
    start, logins, url = threading.Barrier(32), [], redis_server.url  # type: ignore[attr-defined]

    def caller(number: int) -> str:
        with connect(url) as client:
            mine = Hopper(client, namespace=known.keys.namespace, retain_s=600)
            start.wait()
            while True:
                match ask(mine, f"n{number}"):
                    case Token(token, _):
                        return token
                    case Login():
                        logins.append(number)
                        threading.Event().wait(0.05)  # the login itself
                        mine.login_done("pbx", f"n{number}", token="shared")
                    case Wait(seconds):
                        threading.Event().wait(seconds)

    with ThreadPoolExecutor(32) as threads:
        tokens = list(threads.map(caller, range(32)))

    assert len(logins) == 1
    assert set(tokens) == {"shared"}


def test_a_token_lost_under_32_callers_is_renewed_once(known: Hopper, redis_server: object) -> None:
    ask(known, "first")
    old = known.login_done("pbx", "first", token="old")
    start, logins, url = threading.Barrier(32), [], redis_server.url  # type: ignore[attr-defined]

    def caller(number: int) -> Turn:
        with connect(url) as client:
            mine = Hopper(client, namespace=known.keys.namespace, retain_s=600)
            start.wait()
            while isinstance(turn := ask(mine, f"n{number}", refused=old), Wait):
                threading.Event().wait(turn.seconds)
            if turn == Login():
                logins.append(number)
                mine.login_done("pbx", f"n{number}", token="new")
            return turn

    with ThreadPoolExecutor(32) as threads:
        turns = list(threads.map(caller, range(32)))

    assert len(logins) == 1
    assert turns.count(Token("new", old + 1)) == 31


def test_who_waits_is_told_to_ask_again_soon(known: Hopper) -> None:
    assert ask(known, "a") == Login()
    turn = ask(known, "b")
    assert isinstance(turn, Wait)
    assert 0 < turn.seconds <= 0.05


def test_the_turn_is_still_the_callers_when_it_asks_again(known: Hopper) -> None:
    assert (ask(known, "a"), ask(known, "a")) == (Login(), Login())
    assert isinstance(ask(known, "b"), Wait)


def test_the_turn_of_a_dead_holder_ends_by_itself(known: Hopper) -> None:
    ask(known, "dead", lease_s=0.1)
    assert isinstance(ask(known, "next"), Wait)

    assert eventually(lambda: ask(known, "next") == Login())
    assert known.login_done("pbx", "dead", token="late") == -1, "its token is thrown away"
    assert known.login_done("pbx", "next", token="good") > 0
    assert ask(known, "x") == Token("good", 2)


def test_the_same_login_done_again_answers_the_same(known: Hopper) -> None:
    ask(known, "a")
    first = known.login_done("pbx", "a", token="t")
    assert known.login_done("pbx", "a", token="t") == first
    assert ask(known, "b") == Token("t", first)


def test_a_refused_token_is_not_given_out_again(known: Hopper) -> None:
    ask(known, "a")
    generation = known.login_done("pbx", "a", token="t")

    assert ask(known, "b", refused=generation) == Login()
    assert isinstance(ask(known, "c"), Wait), "nor to those who take any"
    assert known.login_done("pbx", "b", token="u") == generation + 1


def test_who_comes_late_with_an_older_refusal_gets_the_new_token(known: Hopper) -> None:
    ask(known, "a")
    old = known.login_done("pbx", "a", token="t")
    ask(known, "b", refused=old)
    new = known.login_done("pbx", "b", token="u")

    assert ask(known, "c", refused=old) == Token("u", new)


def test_a_token_refused_right_after_it_was_given_is_not_fought_over(known: Hopper) -> None:
    ask(known, "a")
    generation = known.login_done("pbx", "a", token="t")

    turn = ask(known, "b", refused=generation, spacing_s=5)
    assert isinstance(turn, Wait)
    assert 4 < turn.seconds <= 5
    assert eventually(lambda: ask(known, "b", refused=generation, spacing_s=0.1) == Login())


# --- refused and blocked -----------------------------------------------------------------------------------


def test_a_refused_login_blocks_everybody_and_says_why(known: Hopper) -> None:
    ask(known, "a")
    known.login_done("pbx", "a", block_s=610, reason="wrong password")

    turn = ask(known, "b")
    assert isinstance(turn, Barred)
    assert 600 < turn.seconds <= 610
    assert turn.reason == "wrong password"
    assert known.barred("pbx")[1] == "wrong password"
    assert known.view("pbx").barred_s > 600


def test_a_failed_login_without_a_block_lets_the_next_one_try(known: Hopper) -> None:
    ask(known, "a")
    known.login_done("pbx", "a")
    assert ask(known, "b") == Login()


def test_new_credentials_lift_the_block_and_forget_the_token(stage: Stage) -> None:
    stage.hopper.login_turn("hq", refused=2, nonce="x", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "x", block_s=610, reason="wrong password")
    job_id = stage.put()
    assert stage.release() == []
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.hopper.register("hq", pbx_settings())
    assert stage.hopper.barred("hq")[0] > 600, "the same credentials lift nothing"
    stage.hopper.register("hq", pbx_settings(password="another"))

    assert stage.hopper.barred("hq") == (0.0, "")
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1
    assert stage.release() == [job_id]
    turn = stage.hopper.login_turn("hq", refused=-1, nonce="y", lease_s=30, spacing_s=0)
    assert turn == Login()


def test_generations_go_on_counting_through_new_credentials(known: Hopper) -> None:
    ask(known, "a")
    old = known.login_done("pbx", "a", token="t")
    known.register("pbx", pbx_settings(password="another"))
    ask(known, "b")

    assert known.login_done("pbx", "b", token="u") > old


def test_a_late_failure_never_shortens_the_block_of_a_wrong_password(known: Hopper) -> None:
    # One login hung past its turn; the next was refused. Then the first comes back with something harmless.
    ask(known, "hung", lease_s=0)
    ask(known, "next")
    known.login_done("pbx", "next", block_s=610, reason="wrong password")

    known.login_done("pbx", "hung", block_s=30, reason="garbage in the reply")

    assert known.barred("pbx")[0] > 600, "the PBX would lock us out: one attempt in 10 minutes"


def test_a_refusal_of_the_old_password_does_not_block_the_new_one(known: Hopper) -> None:
    # An old worker is in the middle of its login when one with the right password comes up.
    ask(known, "old")
    known.register("pbx", pbx_settings(password="right"))

    known.login_done("pbx", "old", block_s=610, reason="wrong password")

    assert known.barred("pbx") == (0.0, "")


# --- and the breaker ---------------------------------------------------------------------------------------


def test_a_login_that_opens_a_closed_pbx_brings_its_jobs_at_once(stage: Stage) -> None:
    # One call found the PBX down while a login was under way; the login succeeds.
    stage.open_pbx("branch", logged_in=False)
    stage.hopper.login_turn("branch", refused=-1, nonce="a", lease_s=30, spacing_s=0)
    stage.unreachable("branch")
    job_id = stage.put(pbx="branch")
    assert stage.release() == []

    stage.hopper.login_done("branch", "a", token="t")

    assert stage.hopper.barred("branch") == (0.0, "")
    assert stage.release() == [job_id]


def test_a_process_that_may_open_no_more_files_gives_the_turn_back(known: Hopper) -> None:
    class Pbx(ModelledPbx):
        def login(self) -> str:
            raise OutOfFiles("out_of_files", "this worker may open no more files")

    with pytest.raises(OutOfFiles):
        PbxSession(known, Pbx("pbx", []), RetrySettings()).token()
    assert isinstance(ask(known, "another"), Login)
    assert known.view("pbx").breaker == "closed"


def test_old_credentials_are_not_tried_right_after_new_ones_came(stage: Stage) -> None:
    old, new = pbx_settings(password="old").credentials_mark(), pbx_settings(password="new").credentials_mark()

    def turn(nonce: str, credentials: str) -> object:
        return stage.hopper.login_turn(
            "branch", refused=-1, nonce=nonce, lease_s=30, spacing_s=0, credentials=credentials
        )

    stage.hopper.register("branch", pbx_settings(password="old"))
    stage.hopper.register("branch", pbx_settings(password="new"))
    assert isinstance(turn("a", old), Wait)
    assert isinstance(turn("b", new), Login)
