"""
Bitrix24: somebody clicks a number in the CRM, or a visitor asks on a web form to be called back.

Source: github.com/bitrix24/b24restdocs, `api-reference/telephony/events/` and `telephony-external-call-finish.md`,
read 2026-11-23. How it is set up: `docs/crm-bitrix24.md`.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from producers.crm import base
from producers.crm.base import Answer, BadPayload, Delivery, NotAuthentic, SourceSettings, Verdict, Wish
from producers.crm.parts.auth import is_same
from producers.crm.parts.bodies import body_of
from producers.crm.parts.tables import table_of, without_gaps
from producers.crm.parts.values import numbers_of, text_of, with_extension
from producers.masking import masked
from worker.jobs import DialResult, JobState, Priority
from worker.webhooks import Call

_CLICK = "ONEXTERNALCALLSTART"
_CALLBACK = "ONEXTERNALCALLBACKSTART"
_CALL_ID, _USER_ID = "bitrix24_call_id", "bitrix24_user_id"
_LONGEST_CALL_ID = 200
# Digits that both forms of a number share; national ones have a trunk prefix in front.
_SAME_END = 6

# STATUS_CODE of telephony.externalCall.finish for each end of a job.
_STATUS = {
    JobState.PLACED: "200",
    JobState.FAILED: "603",
    JobState.UNKNOWN: "OTHER",
    JobState.CANCELLED: "603-S",
    JobState.EXPIRED: "480",
    JobState.REFUSED: "403",
}
# The same where `errno` says more: the PBX's own codes (`worker.pbx.codes`) and words of ours.
_STATUS_BY_ERRNO = {
    "10008": "486",  # the extension is in another call
    "10011": "404",  # the number does not exist
    "10024": "403",  # the extension may not call out
    "100024": "403",
    "10028": "404",  # no number
    "10031": "404",  # the number is not acceptable
    "30003": "503",  # the PBX takes no requests
    "unreachable": "503",
    "invalid_number": "404",
}
# A final state that may be told more exactly; the others are what they are.
_TOLD_BY_ERRNO = (JobState.FAILED, JobState.REFUSED)


class Settings(SourceSettings):
    """
    The block `[source.NAME]` of `kind = "bitrix24"`.

    `application_token` is what Bitrix24 puts into every event. `domains` and `member_ids` name the accounts that
    may wish for calls; empty: all that know the token. `rest_url` (secret: it holds one) is the inbound webhook
    that calls are finished through; without it nothing is told back. With `finish_placed = false` only calls that
    were not placed are finished, for a PBX that finishes the others itself.

    A person waits by the telephone: calls are urgent, and none begins later than `expires_in_s`, a minute.
    """

    kind: Literal["bitrix24"] = "bitrix24"
    application_token: SecretStr = Field(min_length=1)
    domains: tuple[str, ...] = ()
    member_ids: tuple[str, ...] = ()
    rest_url: SecretStr | None = None
    finish_placed: bool = True
    priority: Priority = Priority.URGENT
    expires_in_s: Annotated[float, Field(gt=0, le=366 * 86400)] | None = 60.0

    @field_validator("rest_url")
    @classmethod
    def _is_a_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url and not url.get_secret_value().startswith(("https://", "http://")):
            raise ValueError(
                "give the inbound webhook's address, such as https://NAME.bitrix24.com/rest/1/SECRET/"
            )
        return url


class Adapter(base.Adapter):
    """One Bitrix24 account as a source of wishes."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings: Settings = settings

    def check(self, delivery: Delivery) -> None:
        """
        Return if the event holds the application's token, and comes from an account that is let in.

        Raises:
            NotAuthentic: If not.
            BadPayload: If the body, which the token is in, cannot be read.
        """
        auth = table_of(_body(delivery).get("auth"), "auth")
        if not is_same(text_of(auth.get("application_token")), self.settings.application_token):
            raise NotAuthentic(
                "auth[application_token] is missing or wrong; compare it with the outbound webhook's"
            )
        for name, allowed in (("domain", self.settings.domains), ("member_id", self.settings.member_ids)):
            if allowed and text_of(auth.get(name)) not in allowed:
                raise NotAuthentic(f"auth[{name}] is not among those of this source; add it to {name}s")

    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        """
        Return the call an event wishes for; see `Adapter.wishes` of `producers.crm.base`.

        Raises:
            BadPayload: If it cannot be read.
        """
        body = _body(delivery)
        data = body.get("data")
        event = (text_of(body.get("event")) or "").upper()
        if event == _CLICK:
            return [_click(table_of(data, "data"))]
        return [_callback(body, table_of(data, "data"))] if event == _CALLBACK else []

    def passed_over(self, delivery: Delivery) -> Sequence[str]:
        """Return why an event is no wish, if it is none."""
        return [] if self.wishes(delivery) else ["an event that asks for no call"]

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:  # noqa: ARG002 - Bitrix24 reads no answer
        """Return `{}`: Bitrix24 neither reads an answer nor repeats an event."""
        return Answer()

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:
        """
        Return the call of telephony.externalCall.finish that closes the call's card and logs it.

        None without `rest_url`, for a callback (which has no card), and for an end after the first, because a call
        is finished once.
        """
        settings, call_id = self.settings, result.metadata.get(_CALL_ID)
        left_to_pbx = result.state is JobState.PLACED and not settings.finish_placed
        if settings.rest_url is None or not call_id or seq != 1 or left_to_pbx:
            return None
        return Call(
            "POST",
            f"{settings.rest_url.get_secret_value().rstrip('/')}/telephony.externalcall.finish",
            {"Content-Type": "application/json"},
            json.dumps(_finish(result, call_id)).encode(),
        )


def _body(delivery: Delivery) -> Mapping[str, Any]:
    return table_of(body_of(delivery), "the body")


def _click(data: Mapping[str, Any]) -> Wish:
    call_id = text_of(data.get("CALL_ID")) or ""
    if not 0 < len(call_id) <= _LONGEST_CALL_ID:
        raise BadPayload(f"data[CALL_ID]: is missing or longer than {_LONGEST_CALL_ID} characters")
    user = text_of(data.get("USER_ID"))
    extension = text_of(data.get("EXTENSION"))
    found = _numbers_of(data)
    first, *others = [with_extension(number, extension) for number in found] or [""]
    return Wish(
        # The same click has been seen to come twice.
        dedupe=f"call:{call_id}",
        outto=first,
        others=tuple(others),
        user=user,
        metadata=without_gaps({_CALL_ID: call_id, _USER_ID: user, **_record(data)}),
    )


def _numbers_of(data: Mapping[str, Any]) -> list[str]:
    """Return the number in Bitrix24's international form and as it was typed; the latter alone if it has more."""
    found = numbers_of([data.get("PHONE_NUMBER_INTERNATIONAL"), data.get("PHONE_NUMBER")])
    typed = numbers_of(data.get("PHONE_NUMBER"))
    # An extension or a second number ends in other digits.
    ends = {"".join(filter(str.isdigit, number))[-_SAME_END:] for number in found}
    return found if len(ends) < 2 else typed


def _callback(body: Mapping[str, Any], data: Mapping[str, Any]) -> Wish:
    """Read a request to be called back, which names no colleague and has no id: the default extension rings."""
    account = table_of(body.get("auth"), "auth").get("member_id")
    asked = json.dumps([account, body.get("ts"), sorted(data.items(), key=str)])
    return Wish(
        # It becomes part of a key, which is shown, so the number goes in hashed.
        dedupe=f"callback:{sha256(asked.encode()).hexdigest()[:32]}",
        outto=next(iter(numbers_of(data.get("PHONE_NUMBER"))), ""),
        metadata=without_gaps(_record(data)),
    )


def _record(data: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        "bitrix24_entity_type": text_of(data.get("CRM_ENTITY_TYPE")),
        "bitrix24_entity_id": text_of(data.get("CRM_ENTITY_ID")),
        "bitrix24_line": text_of(data.get("LINE_NUMBER")),
    }


def _finish(result: DialResult, call_id: str) -> dict[str, Any]:
    user = result.metadata.get(_USER_ID)
    fields = {
        "CALL_ID": call_id,
        **({"USER_ID": user} if user else {"USER_PHONE_INNER": result.extid}),
        # The PBX is told to place the call; how long it lasts is not known here.
        "DURATION": 0,
        "STATUS_CODE": _status(result),
        "ADD_TO_CHAT": 0,
    }
    return fields if result.state is JobState.PLACED else {**fields, "FAILED_REASON": masked(result.sentence())}


def _status(result: DialResult) -> str:
    told = _STATUS_BY_ERRNO.get(result.errno or "") if result.state in _TOLD_BY_ERRNO else None
    return told or _STATUS[result.state]
