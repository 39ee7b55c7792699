"""One log-in per PBX, shared by every worker on every host."""

import uuid
from typing import NoReturn

import structlog

from worker import metrics
from worker.errors import AttemptFailed, LoginRefused, NeverTry, OutOfFiles, PbxBarred, PbxDenies, PbxDown
from worker.hopper import Barred, Hopper, Login, Token, Wait
from worker.pbx.base import Pbx
from worker.settings import RetrySettings

log = structlog.get_logger()

# Two log-ins are never closer than this: where a new log-in kills the former token (nobody says), another
# client of the same account would otherwise make us log in for every call.
LOGIN_SPACING_S = 5.0
# Longer than a log-in can take (connect and read time-outs at their most), so the turn outlives its holder.
_TURN_LEASE_S = 30.0
_OTHER_FAILURE_S = 30.0


class PbxSession:
    """
    The shared token of one PBX.

    The token lives in the hopper. Who finds it refused takes the turn to log in; everybody else goes on with
    other work meanwhile. A refused log-in closes the PBX for longer than its own lock-out, for all workers.
    """

    def __init__(self, hopper: Hopper, pbx: Pbx, retry: RetrySettings, *, credentials: str = "") -> None:
        self._hopper = hopper
        self._pbx = pbx
        self._credentials = credentials
        self._login_block_s = retry.login_block_s

    def token(self, *, refused: int = -1) -> Token | Wait:
        """
        Return a token to use, or how long to wait because somebody else logs in.

        Args:
            refused: Generation of the token the PBX did not take.

        Raises:
            PbxBarred: Log-in is refused or locked; nobody should try before the time it carries.
            PbxDown: The PBX could not be reached, or gave no answer to a log-in.
            OutOfFiles: This process has no connection left for a log-in.
        """
        name, nonce = self._pbx.name, uuid.uuid4().hex
        turn = self._hopper.login_turn(
            name,
            refused=refused,
            nonce=nonce,
            lease_s=_TURN_LEASE_S,
            spacing_s=LOGIN_SPACING_S,
            credentials=self._credentials,
        )
        match turn:
            case Login():
                return self._log_in(nonce)
            case Barred(seconds, reason):
                raise PbxBarred(seconds, reason)
            case _:
                return turn

    def _log_in(self, nonce: str) -> Token | Wait:
        name = self._pbx.name
        try:
            token = self._pbx.login()
        except (PbxDenies, NeverTry, LoginRefused) as failed:
            self._bar(nonce, failed)
        except AttemptFailed as failed:
            # Nothing is wrong with the credentials: the breaker's rests are long enough.
            metrics.logged_in(name, "failed")
            self._hopper.login_done(name, nonce)
            if isinstance(failed, OutOfFiles):
                raise
            words = f"log-in failed: {failed.error}"
            raise PbxDown(failed.errno, words, asked_rest_s=failed.asked_rest_s) from None
        metrics.logged_in(name, "ok")
        generation = self._hopper.login_done(name, nonce, token=token)
        if generation < 0:  # we took longer than the turn lasts, and somebody else has logged in
            return Wait(0.1)
        log.info("logged_in", pbx=name, generation=generation)
        return Token(token, generation)

    def _bar(self, nonce: str, failed: AttemptFailed) -> NoReturn:
        name, refused = self._pbx.name, isinstance(failed, LoginRefused)
        metrics.logged_in(name, "refused" if refused else "failed")
        block_s = self._login_block_s if refused else _OTHER_FAILURE_S
        reason = f"log-in failed ({failed})"
        self._hopper.login_done(name, nonce, block_s=block_s, reason=reason)
        log.error("login_refused", pbx=name, errno=failed.errno, error=failed.error, next_try_s=block_s)
        raise PbxBarred(block_s, reason) from None
