"""The shape of every CRM adapter: what goes in, what comes out, and what may be wrong."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from worker.errors import DialerError
from worker.jobs import PBX_NAME, DialResult, JobState, Priority
from worker.webhooks import Call

Method = Literal["POST", "PUT", "PATCH", "GET"]
# Methods that may bring a delivery. HEAD, OPTIONS and TRACE are for looking only; DELETE means another thing.
METHODS: tuple[str, ...] = get_args(Method)


class NotAuthentic(DialerError):
    """The delivery does not prove that it comes from the CRM; the sentence holds nothing of what it brought."""


class BadPayload(DialerError):
    """The body cannot be read; the sentence says what would be right and quotes no number."""


class SourceSettings(BaseModel):
    """
    What every block `[source.NAME]` may say.

    `extensions` maps the CRM's user ids to extensions, `extension` is for users it does not have; without either
    a wish is refused. `country` (two letters) is that of numbers written nationally; without it the PBX's own rule
    says. A wish older than `expires_in_s` when its turn comes is not dialed. Only requests of one of `methods` are
    read as deliveries. Secrets are named by `..._env` or `..._file` and come resolved.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: str
    pbx: Annotated[str, Field(pattern=PBX_NAME)] | None = None
    priority: Priority = Priority.NORMAL
    autoanswer: Annotated[str, Field(pattern="^(yes|no)$")] = "no"
    on_unknown: Annotated[str, Field(pattern="^(hold|redial)$")] = "hold"
    extension: Annotated[str, Field(pattern=r"^[0-9]{1,10}$")] | None = None
    extensions: dict[str, Annotated[str, Field(pattern=r"^[0-9]{1,10}$")]] = Field(default_factory=dict)
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    expires_in_s: Annotated[float, Field(gt=0, le=366 * 86400)] | None = None
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("POST",)

    @field_validator("methods", mode="before")
    @classmethod
    def _are_known(cls, methods: Any) -> Any:
        unknown = [one for one in methods if one not in METHODS] if isinstance(methods, list | tuple) else []
        if unknown:
            what = f"{str(unknown[0])[:20]!r} is invalid"
            raise ValueError(f"{what}; expected some of {', '.join(METHODS)}, in capitals")
        return methods


_GET_IS_RISKY = (
    "methods: has GET, so a link scanner, a preview or a browser that opens the address makes the phone ring; "
    "leave GET out if the CRM can send POST"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One request of a CRM, as it came.

    `url` is the public one: the base URL of the settings with path and query exactly as received. `headers` have
    lower-case names. `token` is the path segment behind the source's name, if any. `received_at` is unix seconds.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    token: str | None = field(default=None, repr=False)
    received_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """
    One call a CRM wishes for.

    `dedupe` names it among all wishes of its source: the same again is the same job again. `outto` is the number
    as the CRM holds it, empty if there is none; `others` are further numbers of the same person, which are tried
    in order where it cannot be dialed. `user` is looked up in the source's `extensions` unless `extid` is the
    extension itself. `country` is that of the numbers, as the CRM writes it. `fields` are further ones of a
    `DialJob`.
    """

    dedupe: str
    outto: str = field(repr=False)
    user: str | None = None
    extid: str | None = None
    country: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = field(default=(), repr=False)

    @property
    def numbers(self) -> tuple[str, ...]:
        """All numbers, in the order in which they are tried; one at least, which may be empty."""
        return (self.outto, *self.others)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What became of one wish: its job's id and state (`refused` where a rule forbids it), and whether it is new.

    `errno` and `error` say why it was refused.
    """

    wish: Wish
    job_id: str
    state: JobState
    is_new: bool
    errno: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the CRM gets back."""

    status: int = 200
    body: bytes = b"{}"
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Adapter(Protocol):
    """
    One source of wishes.

    Made as `Adapter(name, settings)`, with the source's name and its block of the settings. Adapters derive from
    this class, so that `read` is the same everywhere and what may be left out has its answer. Without `check` and
    `wishes` none can be made: one that forgot to check would let everybody in.
    """

    name: str
    settings: SourceSettings

    @abstractmethod
    def check(self, delivery: Delivery) -> None:
        """
        Return if a delivery proves where it comes from.

        Raises:
            NotAuthentic: If it does not; no more of it was looked at than that takes.
            BadPayload: If the proof is in the body, and that cannot be read.
        """
        ...

    @abstractmethod
    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        """
        Return the calls a delivery wishes for, whoever sent it; see `read`.

        Raises:
            BadPayload: If it cannot be read.
        """
        ...

    def read(self, delivery: Delivery) -> Sequence[Wish]:
        """
        Return the calls a delivery wishes for; none where it is about something else, or is an echo of our own.

        Raises:
            NotAuthentic: If it does not prove where it comes from; nothing else of it was looked at.
            BadPayload: If it cannot be read.
        """
        self.check(delivery)
        return self.wishes(delivery)

    @property
    def handshake_methods(self) -> Collection[str]:
        """The methods by which a CRM may ask for a handshake, beside those of deliveries."""
        return ()

    def handshake(self, delivery: Delivery, *, checked: bool = True) -> Answer | None:  # noqa: ARG002 - most need none
        """
        Return the answer to a handshake, which makes no job; None for every other request.

        Args:
            delivery: As it came.
            checked: Whether it must prove where it comes from.

        Raises:
            NotAuthentic: If it does not prove where it comes from.
            BadPayload: If it asks for an answer that cannot be given.
        """
        return None

    def handshake_hint(self, delivery: Delivery) -> str | None:  # noqa: ARG002 - for those that can have one
        """Return what to set where a delivery seems to be a handshake that the settings do not answer."""
        return None

    def passed_over(self, delivery: Delivery) -> Sequence[str]:  # noqa: ARG002 - for those that can tell
        """Return one sentence for each thing in a readable delivery that is no wish, saying why; for people."""
        return ()

    def warnings(self) -> Sequence[str]:
        """Return one sentence for each setting that works and is risky, beginning with its name."""
        return (_GET_IS_RISKY,) if "GET" in self.settings.methods else ()

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:  # noqa: ARG002 - for those that tell more
        """Return what the CRM wants to hear when every wish has been stored, is there already, or was refused."""
        return Answer()

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:  # noqa: ARG002 - for those with a call
        """
        Return the CRM's own call that tells it of a result; None if there is none for this job.

        Args:
            result: What came of a job of this source; its metadata are those of the wish.
            seq: Counts the ends of this job, from 1.
        """
        return None
