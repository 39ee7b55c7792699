"""
What follows from an attempt that certainly did not ring: one table, and nothing here acts.

An attempt is spent only on a failure of the job itself. Whatever else is in the way (the agent, the PBX, this
worker) makes the job wait without end; a job that has to end at some time has `expires_at`.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from worker.errors import (
    ExtensionBusy,
    LineBusy,
    LoginRefused,
    NeverTry,
    NotConfigured,
    NotPlaced,
    NotReplicated,
    OutOfFiles,
    PbxDown,
    TokenRefused,
    TooLate,
    TryLater,
)


class Whose(Enum):
    """Who would have to do something for the next attempt to succeed."""

    JOB = auto()
    AGENT = auto()
    PBX = auto()
    WORKER = auto()


class Waits(Enum):
    """What is kept from calls until the next attempt."""

    NOTHING = auto()  # the job ends
    JOB = auto()
    LANE = auto()  # all jobs of the extension
    PBX = auto()  # all jobs of the PBX


class Until(Enum):
    """When the next attempt may begin."""

    NEVER = auto()
    AT_ONCE = auto()
    A_MOMENT = auto()  # half a second, which the slot may wait
    OTHER_WORKER = auto()  # the same, in the lane, so that a worker without this trouble may take the job
    BACKOFF = auto()  # the waits of `[retry]`, by the attempts spent
    AVAILABLE = auto()  # waits that grow up to `busy_cap_s`, by the tries in vain
    BREAKER = auto()  # the breaker of the PBX decides
    LOGIN = auto()  # a worker has logged in


@dataclass(frozen=True, slots=True)
class Consequence:
    """One line of the table; the first whose class fits decides."""

    failure: type[NotPlaced]
    whose: Whose
    waits: Waits
    until: Until
    costs_attempt: bool = False

    @property
    def was_answered(self) -> bool:
        """Whether the PBX gave an answer that shows that it takes calls, so its breaker closes."""
        return self.whose is not Whose.WORKER and self.until is not Until.BREAKER


TABLE: Final = (
    Consequence(NeverTry, Whose.JOB, Waits.NOTHING, Until.NEVER, costs_attempt=True),
    Consequence(ExtensionBusy, Whose.AGENT, Waits.LANE, Until.AVAILABLE),
    Consequence(LineBusy, Whose.PBX, Waits.JOB, Until.AVAILABLE),
    Consequence(PbxDown, Whose.PBX, Waits.PBX, Until.BREAKER),
    Consequence(LoginRefused, Whose.PBX, Waits.PBX, Until.BREAKER),
    Consequence(TokenRefused, Whose.PBX, Waits.JOB, Until.LOGIN),
    Consequence(TooLate, Whose.WORKER, Waits.JOB, Until.AT_ONCE),
    Consequence(NotConfigured, Whose.WORKER, Waits.JOB, Until.OTHER_WORKER),
    Consequence(NotReplicated, Whose.WORKER, Waits.JOB, Until.A_MOMENT),
    Consequence(OutOfFiles, Whose.WORKER, Waits.JOB, Until.OTHER_WORKER),
    Consequence(TryLater, Whose.JOB, Waits.JOB, Until.BACKOFF, costs_attempt=True),
)


def consequence_of(failure: NotPlaced) -> Consequence:
    """
    Return the line of the table for a failure.

    Raises:
        LookupError: If no line has its class, which is a defect of the adapter that raised it.
    """
    for line in TABLE:
        if isinstance(failure, line.failure):
            return line
    raise LookupError(f"no consequence is known for {type(failure).__name__}")
