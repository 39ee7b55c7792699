"""The hopper's steps about a PBX as a whole: its limits, its breaker and its shared log-in."""

from worker.hopper.answers import Barred, Login, Token, Wait
from worker.hopper.looking import Looking
from worker.settings import (
    LONGEST_ASKED_REST_S,
    BreakerSettings,
    LookSettings,
    PbxSettings,
    RetrySettings,
    TimeLimits,
)

# The settings of a PBX that count for all workers.
LIMITS = ("calls_per_second", "burst", "max_open_calls", "open_call_s", "extension_rest_s")


class Pbxs(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    _breaker: BreakerSettings
    _limits: TimeLimits
    _looks: LookSettings
    _retry: RetrySettings

    def registered(self, name: str) -> dict[str, str]:
        """Return the limits of a PBX that are in force and the mark of its `credentials`; empty if not known."""
        fields = ("credentials", *LIMITS)
        limits = self._client.hmget(self.keys.pbx(name), *LIMITS)
        row = [self.credentials_mark(name), *limits]
        return {field: value for field, value in zip(fields, row, strict=True) if value is not None}

    def known(self) -> set[str]:
        """Return the names of all PBXs that workers have registered."""
        return set(self._client.smembers(self.keys.known))

    def register(self, name: str, pbx: PbxSettings) -> None:
        """
        Make a PBX's limits known; changed credentials lift the block the old ones earned.

        What former limits have left behind (permits, leases, rests) is cut to what these ones allow.
        """
        fields = [part for limit in LIMITS for part in (limit, str(getattr(pbx, limit)))]
        fields += ["look_permits", str(self._looks.permits)]
        busy_s = self._retry.busy_cap_s + self._retry.base_s
        bars = (self._breaker.cap_s, self._breaker.dial_cap_s, LONGEST_ASKED_REST_S, self._retry.login_block_s)
        longest_bars = [max(bar, self._breaker.base_s) for bar in bars]
        self._scripts.run(
            "register", name, pbx.credentials_mark(), self._flight_s(), busy_s, *longest_bars, *fields
        )

    def withdraw(self, name: str) -> bool:
        """
        Note that a PBX has left the settings: none of its jobs is begun until a worker registers it again.

        Calls under way are looked after as before. Returns whether it was registered.
        """
        return bool(self._scripts.run("withdraw", name)[0])

    @property
    def terms(self) -> tuple[LookSettings, BreakerSettings, RetrySettings]:
        """What `register` derives longest rests and leases from, besides the PBX's own limits."""
        return self._looks, self._breaker, self._retry

    def _flight_s(self) -> float:
        """Return the longest time from the release of a job to the end of its claim, or of the doubt about it."""
        after_claim_s = max(self._limits.claim_dead_s, self._looks.at_most_s)
        return self._retry.slot_wait_s + self._limits.release_ttl_s + after_claim_s

    def unreachable(
        self, pbx: str, *, reason: str, by: str, lost_dial: bool = False, asked_rest_s: float = 0.0
    ) -> float | None:
        """
        Count a PBX that could not be asked, or sent no answer; enough in a row open its breaker.

        Args:
            pbx: Its name.
            reason: One sentence for the operator.
            by: The job that tried, or `look`.
            lost_dial: It was a dial that got no answer, so the phone may have rung.
            asked_rest_s: Above 0: the PBX asked to be left alone for so long, and the breaker opens at once.

        Returns:
            For how many seconds the breaker has opened just now, None if it has not.
        """
        breaker = self._breaker
        kind, cap_s = ("dial", breaker.dial_cap_s) if lost_dial else ("down", breaker.cap_s)
        rests = (breaker.base_s, cap_s, asked_rest_s)
        word, value = self._scripts.run("unreachable", pbx, breaker.failures, *rests, reason, by, kind)
        return float(value) if word == "opened" else None

    def login_turn(
        self, pbx: str, *, refused: int, nonce: str, lease_s: float, spacing_s: float, credentials: str = ""
    ) -> Token | Login | Wait | Barred:
        """
        Ask for a usable token, or for the turn to log in.

        Args:
            pbx: Name of the PBX.
            refused: Generation of the token that was refused; -1 takes any.
            nonce: Names the caller's turn.
            lease_s: The turn ends by itself after so long.
            spacing_s: Logins are at least so far apart.
            credentials: Mark of those that the caller would log in with; others that came a moment ago go
                first. Empty: any.
        """
        word, *rest = self._scripts.run("login_turn", pbx, refused, nonce, lease_s, spacing_s, credentials)
        match word:
            case "token":
                return Token(rest[0], int(rest[1]))
            case "login":
                return Login()
            case "barred":
                return Barred(float(rest[0]), rest[1])
            case _:
                return Wait(float(rest[0]))

    def login_done(self, pbx: str, nonce: str, *, token: str = "", block_s: float = 0, reason: str = "") -> int:
        """
        Say how a login went.

        Args:
            pbx: Name of the PBX.
            nonce: Of the turn.
            token: What the PBX gave; empty if it refused.
            block_s: Above 0: nobody logs in for so long, and the PBX is barred meanwhile.
            reason: Why it is barred, one sentence for the operator.

        Returns:
            The token's generation, or -1 if the turn had passed to somebody else.
        """
        return int(self._scripts.run("login_done", pbx, nonce, token, block_s, reason)[0])
