"""From what a CRM wishes for to jobs: finds extensions, fills in what the source says, refuses what cannot be."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from producers.crm import Adapter, SourceSettings, Verdict, Wish
from producers.crm.parts.values import Number
from producers.enqueue import Dialer
from producers.masking import masked
from producers.numbers import NumberRefused
from worker.errors import AlreadyExpired, InputRefused
from worker.hopper import PUT_BATCH, Answer, Order, Receipt
from worker.jobs import DialJob, JobState, RefusedJob

_LONGEST_KEY = 200
_EXTID = re.compile(r"[0-9]{1,10}")
_ASKED = ("extid", "priority", "autoanswer", "on_unknown", "not_before")
_MOST_METADATA, _LONGEST_NAME, _LONGEST_TEXT = 32, 64, 500


@dataclass(frozen=True, slots=True)
class Planned:
    """
    One wish and what is to be stored for it: a job to dial, or one that is refused.

    `skipped` has a sentence for each number that cannot be dialed and stood before the one that is.
    """

    wish: Wish
    order: Order
    skipped: tuple[str, ...] = ()


def plan(dialer: Dialer, adapter: Adapter, wishes: Sequence[Wish]) -> list[Planned]:
    """
    Return what would be stored for the wishes of one source; sends nothing.

    A wish that cannot be dialed becomes a `RefusedJob`, whose errno is a word: `unknown_user`, `invalid_number`,
    `emergency_number`, `expired`, ... or `invalid_field`. Metadata that a job cannot hold are cut.
    """
    return [_planned(dialer, adapter, wish) for wish in wishes]


def take(dialer: Dialer, adapter: Adapter, wishes: Sequence[Wish]) -> list[Verdict]:
    """
    Store the wishes of one source; those that came before, with whatever contents, add no second job.

    Raises:
        ServiceUnreachable: If Redis does not answer; the same delivery again adds what is missing.
    """
    planned = plan(dialer, adapter, wishes)
    with dialer.reaching_redis():
        firsts = range(0, len(planned), PUT_BATCH)
        return [verdict for first in firsts for verdict in _stored(dialer, planned[first : first + PUT_BATCH])]


def _stored(dialer: Dialer, planned: Sequence[Planned]) -> Iterator[Verdict]:
    answers = dialer.hopper.put_orders([one.order for one in planned])
    for one, answer in zip(planned, answers, strict=True):
        if isinstance(answer, AlreadyExpired):
            yield _stored_as_refused(dialer, one, answer)
        else:
            yield _verdict(one, answer)


def _stored_as_refused(dialer: Dialer, planned: Planned, why: AlreadyExpired) -> Verdict:
    """Store a job that would expire at once as a refused one, so that the CRM gets its result."""
    job = planned.order.job
    assert isinstance(job, DialJob), "a refused one does not expire"
    asked = {name: str(getattr(job, name)) for name in ("extid", "outto", "priority", "autoanswer", "on_unknown")}
    refused = RefusedJob(
        "expired",
        str(why),
        key=job.key,
        pbx=job.pbx or "",
        extid=job.extid,
        metadata=job.metadata,
        asked=asked,
    )
    again = replace(planned, order=replace(planned.order, job=refused))
    [answer] = dialer.hopper.put_orders([again.order])
    return _verdict(again, answer)


def _verdict(planned: Planned, answer: Answer) -> Verdict:
    job = planned.order.job
    if isinstance(answer, Receipt):
        is_refused = answer.state is JobState.REFUSED
        why = (job.errno, job.error) if is_refused and isinstance(job, RefusedJob) else (None, None)
        return Verdict(planned.wish, answer.id, answer.state, answer.is_new, *why)
    # Its record is damaged: it came before, and is not dialed anew.
    gone = (job.job_id(), JobState.REFUSED)
    return Verdict(planned.wish, *gone, is_new=False, errno="damaged", error=str(answer))


def _planned(dialer: Dialer, adapter: Adapter, wish: Wish) -> Planned:
    fields = _fields(adapter, wish)
    skipped: tuple[str, ...] = ()
    try:
        job, skipped = _first_usable(dialer, fields, wish, home=adapter.settings.country)
    except InputRefused as refused:
        cause = refused if fields["extid"] else _unknown_user(adapter.name, wish)
        asked = _asked(fields, wish, home=adapter.settings.country)
        return Planned(wish, _order(adapter, _refused_job(dialer, fields, cause, asked)))
    return Planned(wish, _order(adapter, job), skipped)


def _order(adapter: Adapter, job: DialJob | RefusedJob) -> Order:
    return Order(job, f"hook:{adapter.name}", expires_in_s=adapter.settings.expires_in_s, lenient=True)


def _first_usable(
    dialer: Dialer, fields: Mapping[str, Any], wish: Wish, *, home: str | None
) -> tuple[DialJob, tuple[str, ...]]:
    """
    Return the job for the first number that can be dialed, and a sentence for each number before it.

    Raises:
        InputRefused: If none can be dialed, for the first one that has digits at all.
    """
    refusals: dict[str, NumberRefused] = {}
    for number in wish.numbers:
        try:
            own = number.country if isinstance(number, Number) else None
            job = dialer.job_for({**fields, "outto": str(number)}, country=own or wish.country, home=home)
        except NumberRefused as refused:
            refusals[number] = refused
        else:
            return job, tuple(masked(str(refused)) for refused in refusals.values())
    with_digits = next((number for number in refusals if any(map(str.isdecimal, number))), wish.outto)
    raise refusals[with_digits]


def _fields(adapter: Adapter, wish: Wish) -> dict[str, Any]:
    source = adapter.settings
    return {
        "pbx": source.pbx,
        "priority": source.priority,
        "autoanswer": source.autoanswer,
        "on_unknown": source.on_unknown,
        **wish.fields,
        "extid": wish.extid or _extension(source, wish),
        "key": _key(adapter.name, wish.dedupe),
        "metadata": _metadata(wish.metadata),
    }


def _extension(source: SourceSettings, wish: Wish) -> str | None:
    return source.extensions.get(wish.user or "", source.extension)


def _key(source: str, dedupe: str) -> str:
    key = f"{source}:{dedupe}"
    return key if len(key) <= _LONGEST_KEY else f"{source}:{sha256(dedupe.encode('utf-8', 'replace')).hexdigest()}"


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    some = list(metadata.items())[:_MOST_METADATA]
    return {_clean(name)[:_LONGEST_NAME]: _clean(text)[:_LONGEST_TEXT] for name, text in some}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _unknown_user(source: str, wish: Wish) -> InputRefused:
    if not wish.user:
        return InputRefused(
            [f"user: is missing, and [source.{source}] has no extension for all; give one of them"]
        )
    who = f"{masked(wish.user[:60])!r}"
    sentence = (
        f"user: {who} has no extension; add one to [source.{source}.extensions], or give an extension for all"
    )
    return InputRefused([sentence])


def _asked(fields: Mapping[str, Any], wish: Wish, *, home: str | None) -> dict[str, str]:
    """Return what a redial needs once the rule that forbade the call has changed; empty if there is too little."""
    number = next(iter(wish.numbers), None)
    if number is None or len(number) > _LONGEST_NAME or not _EXTID.fullmatch(str(fields["extid"] or "")):
        return {}
    own = number.country if isinstance(number, Number) else None
    plain = {name: str(fields[name]) for name in _ASKED if fields.get(name) is not None}
    countries = {"country": own or wish.country, "home": home}
    return {**plain, "outto": str(number), **{name: text for name, text in countries.items() if text}}


def _refused_job(
    dialer: Dialer, fields: Mapping[str, Any], refused: InputRefused, asked: Mapping[str, str]
) -> RefusedJob:
    pbx, extid = fields["pbx"], str(fields["extid"] or "")
    try:
        pbx = dialer.pbx_for(pbx)
    except InputRefused:
        pbx = ""
    return RefusedJob(
        _errno(refused),
        masked(str(refused)),
        key=fields["key"],
        pbx=pbx,
        extid=extid if _EXTID.fullmatch(extid) else "",
        metadata=fields["metadata"],
        asked=asked,
    )


def _errno(refused: InputRefused) -> str:
    code: str | None = getattr(refused, "code", None)
    if code:
        return code
    field = refused.problems[0].partition(":")[0]
    return {"outto": "invalid_number", "user": "unknown_user", "extid": "invalid_extension"}.get(
        field, "invalid_field"
    )
