"""
Any CRM that can send JSON, a form or XML: expressions in the settings say what is where in a delivery.

The settings are explained in `docs/crm.md`; what they are for well-known CRMs is in `presets/`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from producers.crm import base, presets
from producers.crm.base import Answer, BadPayload, Delivery, NotAuthentic, Verdict, Wish
from producers.crm.parts.answering import AnswerSettings
from producers.crm.parts.auth import NoProof, Proof, with_kind
from producers.crm.parts.bodies import Format, body_of
from producers.crm.parts.calling_back import ResultSettings
from producers.crm.parts.expressions import Expr, Scope, is_true
from producers.crm.parts.handshakes import Handshake, Request, looks_like
from producers.crm.parts.values import country_of, field_of, numbers_of, text_of
from worker.jobs import DialResult
from worker.webhooks import Call

# More would take longer than the second in which an answer must be there.
MOST_WISHES = 500
# With the source's name it must stay below what a job's key may have.
LONGEST_DEDUPE = 120

_OPEN_TO_ALL = "auth: is none, so anyone who reaches the address can have numbers dialed; give a token"

Exprs = Annotated[tuple[Expr, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Mark = Callable[[], str]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MapSettings(_Part):
    """What of a delivery is what of a job; several expressions for one thing are tried in order."""

    outto: Exprs
    user: Exprs = ()
    extid: Exprs = ()
    country: Exprs = ()
    pbx: Exprs = ()
    priority: Exprs = ()
    autoanswer: Exprs = ()
    not_before: Exprs = ()
    expires_at: Exprs = ()
    on_unknown: Exprs = ()
    metadata: dict[Annotated[str, Field(min_length=1, max_length=64)], Exprs] = Field(
        default_factory=dict, max_length=32
    )


class BrokenRule(_Part):
    """A delivery for which `when` is true cannot be read, `because` of this."""

    when: Expr
    because: Annotated[str, Field(min_length=1, max_length=200)]


class Settings(base.SourceSettings):
    """The block `[source.NAME]` of kind `generic`; see `docs/crm.md`."""

    preset: str | None = None
    format: Format | None = None
    auth: Proof
    handshake: Handshake | None = None
    split: Expr | None = None
    when: Expr | None = None
    unless: Exprs = ()
    broken: tuple[BrokenRule, ...] = ()
    map: MapSettings
    dedupe: Exprs = ()
    answer: AnswerSettings = Field(default_factory=AnswerSettings)
    result: ResultSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _over_its_preset(cls, block: Any) -> Any:
        name = block.get("preset") if isinstance(block, dict) else None
        if name is None:
            return block
        if name not in presets.names():
            raise ValueError(f"preset: {name!r} is none; choose one of {', '.join(presets.names())}")
        return presets.merged(presets.preset(name), block)

    @field_validator("auth", mode="before")
    @classmethod
    def _has_a_kind(cls, auth: Any) -> Any:
        return with_kind(auth)

    @model_validator(mode="after")
    def _tells_handshakes_from_deliveries(self) -> Self:
        if self.handshake is not None:
            self.handshake.check_beside(self.methods, self.auth)
        return self


@dataclass(frozen=True, slots=True)
class _PassedOver:
    """An element of a delivery that is no wish, and why."""

    reason: str


class Adapter(base.Adapter):
    """
    One source of kind `generic`.

    Args:
        name: The source's.
        settings: Its block.
    """

    settings: Settings

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings

    def check(self, delivery: Delivery) -> None:
        """Return if a delivery proves where it comes from; see `base.Adapter.check`."""
        self.settings.auth.check(delivery, self._reader(delivery))

    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        """Return one wish for each element that the settings do not pass over; see `base.Adapter.wishes`."""
        try:
            wishes = [seen for seen in self._seen(delivery) if isinstance(seen, Wish)]
        except BadPayload as unreadable:
            raise BadPayload(self.handshake_hint(delivery) or str(unreadable)) from None
        # A challenge is no call that could be refused: the CRM waits for its echo, and would wait in vain.
        if not any(wish.outto for wish in wishes) and (hint := self.handshake_hint(delivery)):
            raise BadPayload(hint)
        return wishes

    @property
    def handshake_methods(self) -> Sequence[str]:
        """The methods of the handshake in the settings; see `base.Adapter.handshake_methods`."""
        return self.settings.handshake.methods if self.settings.handshake else ()

    def handshake(self, delivery: Delivery, *, checked: bool = True) -> Answer | None:
        """Return the answer to the handshake in the settings; see `base.Adapter.handshake`."""
        handshake = self.settings.handshake
        if handshake is None or delivery.method not in handshake.methods:
            return None  # before the body is read, which a delivery does once more
        request = Request.of(delivery, self._reader(delivery))
        if not handshake.is_asked_by(request):
            return None
        if checked:
            self._check_handshake(handshake.auth, delivery)
        return handshake.answer(request)

    def _check_handshake(self, own: Proof | None, delivery: Delivery) -> None:
        try:
            (own or self.settings.auth).check(delivery, self._reader(delivery))
        except NotAuthentic as refused:
            other = "; some CRMs prove nothing at a handshake: see handshake.auth"
            raise NotAuthentic(f"{refused}{'' if own else other}") from None

    def handshake_hint(self, delivery: Delivery) -> str | None:
        """Return what to set where a delivery seems to be a handshake; see `base.Adapter.handshake_hint`."""
        name = looks_like(Request.of(delivery, self._reader(delivery)))
        if name is None:
            return None
        other = self.settings.handshake is not None
        answers = "answers handshakes of another kind" if other else "has no handshake"
        add = f'{"see" if other else "add"} [source.{self.name}.handshake], like = "{name}"'
        return f"the CRM sent a challenge and waits for its echo, but this source {answers}; {add} (docs/crm.md)"

    def passed_over(self, delivery: Delivery) -> Sequence[str]:
        """Return one sentence for each element that is passed over; see `base.Adapter.passed_over`."""
        seen = self._seen(delivery)
        if not seen:
            return ["the delivery has no elements; see split"]
        return [
            f"element {number}: {one.reason}" for number, one in enumerate(seen) if isinstance(one, _PassedOver)
        ]

    def warnings(self) -> Sequence[str]:
        """Return a warning for a source that asks for no proof; see `base.Adapter.warnings`."""
        others = super().warnings()
        return (_OPEN_TO_ALL, *others) if isinstance(self.settings.auth, NoProof) else others

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:
        """Return the answer that the settings say; see `base.Adapter.answer`."""
        return self.settings.answer.answer(verdicts)

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:
        """Return the call that the block `result` says; None without one. See `base.Adapter.result_call`."""
        return self.settings.result.call(result, seq=seq) if self.settings.result else None

    def _reader(self, delivery: Delivery) -> Callable[[], Any]:
        return lambda: body_of(delivery, self.settings.format)

    def _seen(self, delivery: Delivery) -> list[Wish | _PassedOver]:
        body = body_of(delivery, self.settings.format)
        scope = Scope(body, delivery)
        for rule in self.settings.broken:
            if is_true(rule.when.of(body, scope)):
                raise BadPayload(rule.because)
        # Made once for all elements, if at all: the body as it was read, for a repeated one may be written in
        # another order, or with other boundaries.
        mark = cache(lambda: _digest(json.dumps(body, sort_keys=True)))
        return [self._read(element, scope, mark) for element in self._elements(body, scope)]

    def _elements(self, body: Any, scope: Scope) -> list[Any]:
        if not isinstance(body, dict | list):
            raise BadPayload("body: holds a single value; send an object or an array of them")
        found = self.settings.split.of(body, scope) if self.settings.split else body
        elements = found if isinstance(found, list) else [] if found in (None, False, "") else [found]
        if len(elements) > MOST_WISHES:
            raise BadPayload(f"body: has more than {MOST_WISHES} elements; send fewer at once")
        return elements

    def _read(self, element: Any, scope: Scope, mark: Mark) -> Wish | _PassedOver:
        when = self.settings.when
        if when and not is_true(when.of(element, scope)):
            return _PassedOver(f"when is not so: {when.text}")
        for unless in self.settings.unless:
            if is_true(unless.of(element, scope)):
                return _PassedOver(f"unless is so: {unless.text}")
        return self._wish(element, scope, mark)

    def _wish(self, element: Any, scope: Scope, mark: Mark) -> Wish:
        numbers = self._found("outto", element, scope)
        first, *others = numbers_of(numbers) or [""]
        mapped = {name: self._mapped(name, element, scope) for name in _FIELDS}
        metadata = {
            name: text
            for name, expressions in self.settings.map.metadata.items()
            if (text := _first(expressions, element, scope, field_of)) is not None
        }
        # As it was before others were looked for, so that a repeated delivery stays the same job.
        content = {"outto": first.strip() or None, **mapped}
        user, extid, country = (mapped.pop(name) for name in ("user", "extid", "country"))
        return Wish(
            dedupe=self._dedupe(element, scope) or _dedupe_of_content([content, metadata, mark()]),
            outto=first,
            others=tuple(others),
            user=user,
            extid=extid,
            country=country,
            metadata=metadata,
            fields={name: value for name, value in mapped.items() if value is not None},
        )

    def _mapped(self, name: str, element: Any, scope: Scope) -> str | None:
        return _first(getattr(self.settings.map, name), element, scope, _READERS.get(name, field_of))

    def _found(self, name: str, element: Any, scope: Scope) -> list[Any]:
        return [expression.of(element, scope) for expression in getattr(self.settings.map, name)]

    def _dedupe(self, element: Any, scope: Scope) -> str | None:
        """Return the values of all expressions of `dedupe` together; None if one of them has none."""
        parts = [text_of(expression.of(element, scope)) for expression in self.settings.dedupe]
        if not parts or None in parts:
            return None
        *first, last = (str(part) for part in parts)
        # Written so that ("a", "b:c") is not ("a:b", "c").
        whole = ":".join([*(part.replace("%", "%25").replace(":", "%3A") for part in first), last])
        is_plain = len(whole) <= LONGEST_DEDUPE and whole.isprintable()
        return whole if is_plain else f"sha256-{_digest(whole)}"


_FIELDS = tuple(name for name in MapSettings.model_fields if name not in ("outto", "metadata"))
_READERS = {"country": country_of, "user": text_of}


def _first(expressions: tuple[Expr, ...], element: Any, scope: Scope, read: Any) -> str | None:
    texts = (read(expression.of(element, scope)) for expression in expressions)
    return next((text for text in texts if text is not None), None)


def _dedupe_of_content(content: Any) -> str:
    return f"body-{_digest(json.dumps(content, sort_keys=True))}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
