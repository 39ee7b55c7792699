"""
Every error the dialer raises, branching by what the caller may do.

    DialerError
    ├─ InputRefused            the caller's input is wrong; nothing was stored
    │  ├─ AlreadyExpired       the job's time was over before it could begin
    │  └─ KeyConflict          the key is taken by another job
    │     └─ RequestConflict   the request's idempotency key came with another request
    ├─ AttemptFailed           one attempt at a call; says whether the phone may have rung
    │  ├─ NotPlaced            it certainly did not ring; `worker.consequences` decides what follows
    │  │  ├─ TryLater          worth another attempt
    │  │  │  ├─ ExtensionBusy  the agent is in another call
    │  │  │  ├─ LineBusy       the line that the call needs is in use
    │  │  │  ├─ PbxDown        the PBX takes no calls at all, whatever they are
    │  │  │  │  └─ PbxRefuses it answers, and refuses requests of this kind
    │  │  │  │     └─ PbxDenies it, or what stands before it, denies access
    │  │  │  ├─ TooLate        nothing was sent, for the claim was old
    │  │  │  ├─ NotConfigured  this worker does not know the PBX; another may
    │  │  │  ├─ NotReplicated  nothing was sent: a fail-over might forget the claim
    │  │  │  ├─ OutOfFiles     nothing was sent: this process may open no more files
    │  │  │  └─ TokenRefused   log in again and repeat
    │  │  ├─ LoginRefused      the PBX does not take these credentials
    │  │  │  └─ LoginLocked    nor any others, for a while
    │  │  └─ NeverTry          another attempt would fail the same way
    │  └─ OutcomeUnknown       it may have rung; look first, never blindly redial
    │     └─ PbxSaidFailed     the PBX itself answered Failed, with a code that proves nothing
    │        └─ PbxAtFault  the same, with a code that blames the PBX and not the call
    ├─ PbxBarred               this PBX takes no calls for now; the job waits
    ├─ CallNotPlaced           how a failed job looks to whoever asked for its result
    │  ├─ CallOutcomeUnknown   the same for a job that may have rung
    │  └─ CallWithdrawn        the same for a cancelled, expired or refused one
    ├─ ServiceUnreachable      Redis (or another service) does not answer
    └─ ConfigurationError      stop at start, not at the first call
"""

from datetime import datetime
from typing import Any, Self


class DialerError(Exception):
    """Something the dialer knows about went wrong."""


class _Problems(DialerError):
    """
    Several things wrong at once.

    Args:
        problems: One sentence each, at least one: field, value and what would be right.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class InputRefused(_Problems):
    """The input is wrong, and nothing was stored."""


class AlreadyExpired(InputRefused):
    """The job would expire at once, or before it may begin; give it a later end if it is still wanted."""

    @classmethod
    def at(cls, moment: datetime) -> Self:
        """Return the error of a job whose `expires_at` has passed."""
        return cls([f"expires_at: {moment.isoformat()!r} has passed; expected a time in the future"])


class KeyConflict(InputRefused):
    """The key already belongs to a job with other contents; use a new key for a new job."""


class RequestConflict(KeyConflict):
    """The idempotency key of the request came before with another one; use a new key for a new request."""


class AttemptFailed(DialerError):
    """
    One attempt did not end in a placed call.

    Args:
        errno: The PBX's code, or a word of ours where the PBX gave none.
        error: One sentence without telephone number or token.
        asked_rest_s: For how many seconds the PBX asked to be left alone; 0 if it did not ask.
    """

    def __init__(self, errno: str, error: str, *, asked_rest_s: float = 0.0) -> None:
        super().__init__(errno, error)
        self.errno = errno
        self.error = error
        self.asked_rest_s = asked_rest_s

    def __str__(self) -> str:
        return f"{self.errno}: {self.error}"


class NotPlaced(AttemptFailed):
    """The phone certainly did not ring."""


class TryLater(NotPlaced):
    """The PBX cannot take the call now; another attempt may succeed."""


class ExtensionBusy(TryLater):
    """The extension is in another call; its whole lane waits."""


class LineBusy(TryLater):
    """A line or module of the PBX that the call needs is in use."""


class PbxDown(TryLater):
    """
    The PBX takes no calls at all.

    No request reached it (refused, unknown host, connect time-out, TLS), its API service is off, or it asked for
    fewer requests.
    """


class PbxRefuses(PbxDown):
    """The PBX, or what stands before it, refused the request for a reason that any such request would meet."""


class PbxDenies(PbxRefuses):
    """The PBX, or what stands before it, denies access; log-ins in quick succession may lock this host out."""


class TooLate(TryLater):
    """The worker was frozen or held up for so long that dialing now would not end in time; nothing was sent."""


class NotConfigured(TryLater):
    """The settings of this worker do not have the PBX; a worker with other settings may have it."""


class NotReplicated(TryLater):
    """Fewer replicas of Redis than `wait_replicas` have the claim, so nothing was sent."""


class OutOfFiles(TryLater):
    """This process may open no more files, so it cannot connect; nothing was sent, and the PBX is not at fault."""


class TokenRefused(TryLater):
    """The PBX does not know the token any more; log in once and repeat."""


class LoginRefused(NotPlaced):
    """The PBX does not take these credentials."""


class LoginLocked(LoginRefused):
    """The PBX takes no log-in from this address for some minutes."""


class NeverTry(NotPlaced):
    """The PBX refused this call for good."""


class OutcomeUnknown(AttemptFailed):
    """The request was sent and its reply lost; the phone may be ringing."""


class PbxSaidFailed(OutcomeUnknown):
    """The PBX answered Failed with a code that does not say whether the call began."""


class PbxAtFault(PbxSaidFailed):
    """The PBX answered Failed with a code that blames itself; no attempt is lost if the phone stayed quiet."""


class PbxBarred(DialerError):
    """
    The PBX takes no calls for now, for a reason that is not the job's.

    Args:
        seconds: How long, at most, until it is worth asking again.
        reason: One sentence for the operator.
    """

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(seconds, reason)
        self.seconds = seconds
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class CallNotPlaced(DialerError):
    """
    The job ended without a call.

    Args:
        sentence: What happened, for a person: `errno: error`.
        result: The `DialResult` as a dict of plain values.
    """

    def __init__(self, sentence: str, result: dict[str, Any]) -> None:
        super().__init__(sentence, result)
        self.result = result

    @property
    def errno(self) -> str | None:
        """The PBX's code, or a word of ours where the PBX gave none."""
        return self.result.get("errno")

    @property
    def error(self) -> str | None:
        """One sentence saying what happened."""
        return self.result.get("error")

    def __str__(self) -> str:
        return str(self.args[0])


class CallOutcomeUnknown(CallNotPlaced):
    """The phone may have rung; nobody has said so yet."""


class CallWithdrawn(CallNotPlaced):
    """The job was cancelled, ran out of time or was refused by a rule before any call."""


class ServiceUnreachable(DialerError):
    """
    A service the dialer cannot work without does not answer.

    Attributes:
        nothing_done: Whether nothing of what was asked for was done, for certain.
    """

    nothing_done: bool = False


class ConfigurationError(_Problems):
    """The settings cannot work; every problem is listed."""

    def __str__(self) -> str:
        return "\n".join(self.problems)
