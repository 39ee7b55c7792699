"""Who is logged in: passwords, tokens with a sliding life, and the lock after too many wrong passwords."""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from hashlib import md5
from typing import Final

from ops.pbx_simulator import codes
from ops.pbx_simulator.codes import Refusal

# "Five wrong passwords in a row block the client's IP": the vendor's guide.
WRONG_PASSWORDS_TO_LOCK: Final = 5
# How many timed-out tokens are remembered to answer 20006 instead of 20004; older ones are strangers.
TIMED_OUT_REMEMBERED: Final = 1000


class Sessions:
    """
    Tokens and login attempts of one PBX; no I/O.

    Args:
        username: The API user.
        password: In clear; clients send its MD5 in lower-case hex.
        clock: Seconds, any epoch.
        token_life_s: A token dies after this long without a request or a pushed event.
        login_lock_s: How long a client IP is locked out.
        single_session: A login kills the tokens before it. What the real PBX does is not documented.

    Attributes:
        logins: Counts by result: {"ok": n, "failed": n, "locked": n}.
    """

    def __init__(
        self,
        *,
        username: str,
        password: str,
        clock: Callable[[], float],
        token_life_s: float,
        login_lock_s: float,
        single_session: bool,
    ) -> None:
        self._username = username
        self._password_md5 = md5(password.encode(), usedforsecurity=False).hexdigest()
        self._clock = clock
        self._token_life_s = token_life_s
        self._login_lock_s = login_lock_s
        self._single_session = single_session
        self._dies_at: dict[str, float] = {}
        self._timed_out: deque[str] = deque(maxlen=TIMED_OUT_REMEMBERED)
        self._wrong_in_a_row: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}
        self.logins = {"ok": 0, "failed": 0, "locked": 0}

    def login(self, username: str, password_md5: str, *, client_ip: str) -> str:
        """
        Return a new token of 32 hex digits.

        Raises:
            Refusal: 20002 while the address is locked, even for the right password; 20003 for a wrong one.
        """
        if self._locked_until.get(client_ip, float("-inf")) > self._clock():
            self.logins["locked"] += 1
            raise Refusal(codes.LOGIN_LOCKED)
        if not self._is_right(username, password_md5):
            self.logins["failed"] += 1
            self._count_wrong(client_ip)
            raise Refusal(codes.WRONG_PASSWORD)
        self.logins["ok"] += 1
        self._wrong_in_a_row.pop(client_ip, None)
        if self._single_session:
            self._dies_at.clear()
        token = secrets.token_hex(16)
        self._dies_at[token] = self._clock() + self._token_life_s
        return token

    def renew(self, token: str) -> None:
        """
        Accept *token* for one request and give it its full life again.

        Raises:
            Refusal: 20005 blank, 20006 timed out, 20004 unknown.
        """
        if not token:
            raise Refusal(codes.TOKEN_BLANK)
        now = self._clock()
        dies_at = self._dies_at.get(token)
        if dies_at is not None and dies_at > now:
            self._dies_at[token] = now + self._token_life_s
            return
        if dies_at is not None:
            self._time_out(token)
        raise Refusal(codes.TOKEN_TIMED_OUT if token in self._timed_out else codes.NO_SUCH_TOKEN)

    def logout(self, token: str) -> None:
        """End *token*; it is unknown from now on."""
        self._dies_at.pop(token, None)

    def forget_all(self) -> int:
        """Forget every token, as firmware is known to do, and return how many were alive."""
        alive = self.alive()
        self._dies_at.clear()
        self._timed_out.clear()
        return alive

    def alive(self) -> int:
        """Return how many tokens live."""
        now = self._clock()
        for token in [token for token, dies_at in self._dies_at.items() if dies_at <= now]:
            self._time_out(token)
        return len(self._dies_at)

    def renew_newest(self) -> bool:
        """
        Renew the newest token because an event is being pushed; False if none lives, when events stop.

        Source: the vendor's guide; a token is renewed by any request with it and by any event pushed.
        """
        if not self.alive():
            return False
        newest = next(reversed(self._dies_at))
        self._dies_at[newest] = self._clock() + self._token_life_s
        return True

    def _is_right(self, username: str, password_md5: str) -> bool:
        right_name = hmac.compare_digest(username.encode(), self._username.encode())
        right_password = hmac.compare_digest(password_md5.encode(), self._password_md5.encode())
        return right_name and right_password

    def _count_wrong(self, client_ip: str) -> None:
        wrong = self._wrong_in_a_row.get(client_ip, 0) + 1
        if wrong >= WRONG_PASSWORDS_TO_LOCK:
            self._locked_until[client_ip] = self._clock() + self._login_lock_s
            wrong = 0
        self._wrong_in_a_row[client_ip] = wrong

    def _time_out(self, token: str) -> None:
        del self._dies_at[token]
        self._timed_out.append(token)
