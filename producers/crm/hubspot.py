"""
HubSpot: webhooks of workflows, custom workflow actions, and an app's webhook subscriptions.

Sources, read 2026-11-23, all below developers.hubspot.com/docs: "Validating requests" (signatures), "Webhooks API"
(events), "Custom workflow actions" and "Complete a callback" (2026-03); knowledge.hubspot.com, "Use webhooks with
HubSpot workflows" (repeats). How it is set up: `docs/crm-hubspot.md`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, model_validator

from producers.crm import base
from producers.crm.base import Answer, BadPayload, Delivery, SourceSettings, Verdict, Wish
from producers.crm.parts.bodies import body_of
from producers.crm.parts.hubspot_signatures import check_signature
from producers.crm.parts.tables import check_metadata, table_of, without_gaps
from producers.crm.parts.values import country_of, numbers_of, text_of
from producers.masking import masked
from worker.jobs import DialResult, JobState
from worker.webhooks import Call

_CALLBACK_ID = re.compile(r"[A-Za-z0-9_.:=-]{1,200}")
_CALLBACK = "hubspot_callback_id"
_COUNTRIES = ("hs_calculated_phone_number_country_code", "hs_country_region_code", "country")
# What tells one state of an object from the next, in its JSON of any version.
_VERSIONS = ("lastmodifieddate", "hs_lastmodifieddate", "updatedAt", "versionTimestamp")

_EVENT_IDS = ("portalId", "subscriptionId", "eventId", "objectId", "occurredAt")
_OBJECT_IDS = ("objectId", "vid", "companyId", "dealId", "id", "hs_object_id")

# Our own write-back comes as one of the first two; a bulk change must not ring a thousand telephones.
_ECHOES_AND_BULK = (
    *("API", "INTEGRATION", "IMPORT", "MIGRATION", "BATCH_UPDATE", "CRM_UI_BULK_ACTION", "MERGE_OBJECTS"),
)

_Id = Annotated[str, BeforeValidator(str)]
_Capitals = Annotated[str, StringConstraints(to_upper=True)]


class Settings(SourceSettings):
    """
    The block `[source.NAME]` of `kind = "hubspot"`.

    `client_secret` is the app's; with `require_v3` a signature of version 2 is not enough. `portals` are the
    accounts that may wish for calls; empty: all that installed the app. `number_properties` are looked through in
    this order, `user_property` names the colleague, `extension_input` is the input field of a custom action that
    names an extension itself. `trigger_property` and `trigger_value` choose the events of webhook subscriptions;
    changes from `ignored_sources` are passed over, whatever they change. With an `access_token` a custom action
    waits for its call's end, `wait_s` seconds at most.
    """

    kind: Literal["hubspot"] = "hubspot"
    client_secret: SecretStr = Field(min_length=1)
    require_v3: bool = False
    portals: tuple[_Id, ...] = ()
    number_properties: Annotated[tuple[str, ...], Field(min_length=1)] = ("phone", "mobilephone")
    user_property: str = "hubspot_owner_id"
    extension_input: str = "extension"
    metadata_properties: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    trigger_property: str | None = None
    trigger_value: str | None = None
    ignored_sources: tuple[_Capitals, ...] = _ECHOES_AND_BULK
    access_token: SecretStr | None = Field(default=None, min_length=1)
    api_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+$")] = "https://api.hubapi.com"
    wait_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 7 * 86400

    @model_validator(mode="after")
    def _no_numbers_in_metadata(self) -> Self:
        check_metadata("metadata_properties", self.metadata_properties, self.number_properties)
        return self


class Adapter(base.Adapter):
    """One HubSpot app as a source of wishes."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings: Settings = settings

    def check(self, delivery: Delivery) -> None:
        """
        Return if the app's client secret has signed the delivery.

        Raises:
            NotAuthentic: If it has not. Version 1 covers the body alone and is never enough.
        """
        secret = self.settings.client_secret.get_secret_value().encode()
        check_signature(delivery, secret, require_v3=self.settings.require_v3)

    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        """
        Return the calls a delivery wishes for; see `Adapter.wishes` of `producers.crm.base`.

        Raises:
            BadPayload: If it cannot be read.
        """
        return [wish for wish in self._parts(delivery) if isinstance(wish, Wish)]

    def passed_over(self, delivery: Delivery) -> Sequence[str]:
        """Return why each thing in a delivery that is no wish is none."""
        return [part for part in self._parts(delivery) if isinstance(part, str)]

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:
        """Return `{}`, or for a custom action what its workflow goes on with."""
        for verdict in verdicts:
            if _CALLBACK in verdict.wish.metadata:
                return Answer(body=_json({"outputFields": self._outputs(verdict)}))
        return Answer()

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:
        """
        Return the call that lets the workflow of a custom action go on.

        None for all others, without an access token, for an end after the first (a callback is completed once),
        and for a job refused at the door, which ended as it began: that was said in the answer.
        """
        callback, token = result.metadata.get(_CALLBACK), self.settings.access_token
        at_the_door = result.state is JobState.REFUSED and result.finished_at == result.enqueued_at
        if not callback or token is None or seq != 1 or at_the_door:
            return None
        fields = _ended(result.state, result.job_id, result.errno, result.error)
        if result.callid:
            fields["outdial_callid"] = result.callid
        return Call(
            "POST",
            f"{self.settings.api_url}/automation/actions/callbacks/2026-03/{quote(callback, safe='')}/complete",
            {"Authorization": f"Bearer {token.get_secret_value()}", "Content-Type": "application/json"},
            _json({"outputFields": fields}),
        )

    def _parts(self, delivery: Delivery) -> list[Wish | str]:
        """Return a wish, or why there is none, for each event, action or object in a delivery."""
        body = body_of(delivery, "json")
        events = body if isinstance(body, list) else [body] if _is_event(body) else []
        if events:
            return [self._event(table_of(event, "each event")) for event in events]
        if isinstance(body, list):
            return []
        table = table_of(body, "the body")
        return [self._action(table) if "callbackId" in table else self._object(table, delivery)]

    def _event(self, event: Mapping[str, Any]) -> Wish | str:
        """Read one event of the Webhooks API, which brings one property at most, and no other number."""
        if why_not := self._passed_over_event(event):
            return why_not
        ids = {name: text_of(event.get(name)) for name in _EVENT_IDS}
        if not ids["objectId"] or not (ids["eventId"] or ids["occurredAt"]):
            # The rest of its batch is not lost for it: HubSpot does not repeat what was answered by 400.
            return "an event without objectId, or with neither eventId nor occurredAt"
        facts = {
            "hubspot_portal_id": ids["portalId"],
            "hubspot_object_id": ids["objectId"],
            "hubspot_property": text_of(event.get("propertyName")),
        }
        is_flag = self.settings.trigger_value is not None
        first, *others = ([] if is_flag else numbers_of(event.get("propertyValue"))) or [""]
        return Wish(
            # HubSpot does not promise that an event's id alone tells it from all others.
            dedupe=_joined("event", *ids.values()),
            # A flag such as "true" carries no number: the job is refused, so that somebody sees it.
            outto=first,
            others=tuple(others),
            user=text_of(event.get("sourceId")),
            metadata=without_gaps(facts),
        )

    def _passed_over_event(self, event: Mapping[str, Any]) -> str | None:
        settings, value = self.settings, text_of(event.get("propertyValue"))
        kind = text_of(event.get("subscriptionType")) or text_of(event.get("eventType"))
        if not (kind or "").endswith(".propertyChange"):
            return "an event that is no change of a property"
        if not self._may(text_of(event.get("portalId"))):
            return "an event of an account that is not among the source's portals"
        if (text_of(event.get("changeSource")) or "").upper() in settings.ignored_sources:
            return "an event whose changeSource is among the source's ignored_sources"
        triggers = (settings.trigger_property,) if settings.trigger_property else settings.number_properties
        if text_of(event.get("propertyName")) not in triggers:
            return f"an event of another property than {' or '.join(triggers)}"
        if not value or settings.trigger_value not in (None, value):
            return "an event whose propertyValue is empty, or not the source's trigger_value"
        return None

    def _action(self, body: Mapping[str, Any]) -> Wish | str:
        callback, origin = text_of(body["callbackId"]) or "", table_of(body.get("origin"), "origin")
        if not _CALLBACK_ID.fullmatch(callback):
            raise BadPayload("callbackId: is not right; HubSpot gives 1 to 200 letters, digits and . _ : = -")
        portal = text_of(origin.get("portalId")) or text_of(body.get("portalId"))
        if not self._may(portal):
            return "an action of an account that is not among the source's portals"
        record = table_of(body.get("object"), "object")
        inputs = table_of(body.get("inputFields") or body.get("fields"), "inputFields")
        given = {name: value for name, value in inputs.items() if text_of(value)}
        properties = {**table_of(record.get("properties"), "object.properties"), **given}
        facts = {
            _CALLBACK: callback,
            "hubspot_portal_id": portal,
            "hubspot_object_id": text_of(record.get("objectId")) or text_of(record.get("id")),
            "hubspot_object_type": text_of(record.get("objectType")),
            "hubspot_workflow_id": text_of(table_of(body.get("context"), "context").get("workflowId")),
        }
        extid = text_of(inputs.get(self.settings.extension_input))
        return self._wish(_joined("action", callback), properties, facts, extid=extid)

    def _object(self, body: Mapping[str, Any], delivery: Delivery) -> Wish | str:
        """Read what "Send a webhook" of a workflow sends: an object with all properties, or chosen ones flat."""
        properties = {**body, **table_of(body.get("properties"), "properties")}
        portal = text_of(body.get("portal-id")) or text_of(body.get("portalId"))
        if portal and not self._may(portal):
            return "an object of an account that is not among the source's portals"
        object_id, version = _first(properties, _OBJECT_IDS), _first(properties, _VERSIONS)
        if not object_id and not _first(properties, self.settings.number_properties):
            return "an object with neither an id nor a number"
        # The workflow is not named in what it sends, but its URL may tell it from others. The hash hides a secret
        # in the query.
        mark = f"{urlsplit(delivery.url).query}\n{version}".encode() if object_id and version else delivery.body
        facts = {
            "hubspot_portal_id": portal,
            "hubspot_object_id": object_id,
            "hubspot_object_type": text_of(body.get("objectType")) or text_of(body.get("objectTypeId")),
        }
        # A contact's own property may have that name too; only who chose the fields himself means it for us.
        extid = None if "properties" in body else text_of(body.get(self.settings.extension_input))
        dedupe = _joined("object", portal, object_id, sha256(mark).hexdigest()[:24])
        return self._wish(dedupe, properties, facts, extid=extid)

    def _wish(
        self, dedupe: str, properties: Mapping[str, Any], facts: Mapping[str, str | None], *, extid: str | None
    ) -> Wish:
        settings = self.settings
        chosen = {name: text_of(properties.get(name)) for name in settings.metadata_properties}
        first, *others = numbers_of([properties.get(name) for name in settings.number_properties]) or [""]
        return Wish(
            dedupe=dedupe,
            # Without a number the job is refused, so that somebody sees it.
            outto=first,
            others=tuple(others),
            user=text_of(properties.get(settings.user_property)),
            extid=extid,
            country=country_of(_first(properties, _COUNTRIES)),
            metadata=without_gaps({**facts, **chosen}),
        )

    def _outputs(self, verdict: Verdict) -> dict[str, str]:
        if verdict.state.is_final:
            return _ended(verdict.state, verdict.job_id, verdict.errno, verdict.error)
        fields = {"outdial_state": str(verdict.state), "outdial_job_id": verdict.job_id}
        if self.settings.access_token is None:
            return {**fields, "hs_execution_state": "SUCCESS"}
        return {
            **fields,
            "hs_execution_state": "BLOCK",
            "hs_expiration_duration": f"PT{self.settings.wait_s}S",
        }

    def _may(self, portal: str | None) -> bool:
        return not self.settings.portals or portal in self.settings.portals


def _is_event(body: Any) -> bool:
    said = isinstance(body, Mapping) and ("subscriptionType" in body or "eventType" in body)
    return said and "properties" not in body


def _first(properties: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first property that has a value; older object JSON wraps values together with their history."""
    return next((text for name in names if (text := text_of(properties.get(name)))), None)


def _joined(*parts: str | None) -> str:
    return ":".join(part or "" for part in parts)


def _ended(state: JobState, job_id: str, errno: str | None, error: str | None) -> dict[str, str]:
    fields = {"outdial_state": str(state), "outdial_job_id": job_id}
    if errno:
        fields["outdial_errno"] = errno
    if error:
        fields["outdial_error"] = masked(error)
    return {**fields, "hs_execution_state": "SUCCESS" if state is JobState.PLACED else "FAIL_CONTINUE"}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
