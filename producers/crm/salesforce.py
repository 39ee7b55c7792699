"""
Salesforce: Outbound Messages of flows, workflow rules and approvals, which are SOAP.

Source: "Understanding Outbound Messaging" and "Understanding the Outbound Messaging WSDL" of Salesforce's SOAP API
Developer Guide, read 2026-11-23. How it is set up: `docs/crm-salesforce.md`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from producers.crm import base
from producers.crm.base import Answer, BadPayload, Delivery, NotAuthentic, SourceSettings, Verdict, Wish
from producers.crm.parts.auth import check_path_token, is_same
from producers.crm.parts.bodies import body_of
from producers.crm.parts.tables import check_metadata, table_of, without_gaps
from producers.crm.parts.values import country_of, numbers_of, text_of
from worker.jobs import DialResult
from worker.webhooks import Call

# The WSDL's own limit (maxOccurs).
_MOST_NOTIFICATIONS = 100
# An id of 18 characters is one of 15 with a checksum behind it.
_ID_LENGTH = 15
_ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)

_OrganizationId = Annotated[str, Field(pattern="^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$")]


class Settings(SourceSettings):
    """
    The block `[source.NAME]` of `kind = "salesforce"`.

    Salesforce signs nothing. `token` is a secret behind the source's name in the URL, `organizations` the ids of
    the organizations that may wish for calls; both are needed, unless `without_token` or `any_organization` says
    aloud that one is not. `number_fields` are looked through in this order; `user_field` names the colleague;
    `country_field` a field with a country code of two letters; `metadata_fields` come back with the result.
    """

    kind: Literal["salesforce"] = "salesforce"
    token: SecretStr | None = Field(default=None, min_length=16)
    without_token: bool = False
    organizations: tuple[_OrganizationId, ...] = ()
    any_organization: bool = False
    number_fields: Annotated[tuple[str, ...], Field(min_length=1)] = ("Phone", "MobilePhone")
    user_field: str = "OwnerId"
    country_field: str | None = None
    metadata_fields: Annotated[tuple[str, ...], Field(max_length=16)] = ()

    @field_validator("organizations")
    @classmethod
    def _short_ids(cls, organizations: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(organization[:_ID_LENGTH] for organization in organizations)

    @model_validator(mode="after")
    def _proves_something(self) -> Self:
        if self.token is None and not self.without_token:
            raise ValueError("token: is missing; give token_env or token_file, or say without_token = true")
        if self.token is not None:
            check_path_token(self.token)
        if not self.organizations and not self.any_organization:
            raise ValueError("organizations: is empty; list organization ids, or say any_organization = true")
        check_metadata("metadata_fields", self.metadata_fields, self.number_fields)
        return self


class Adapter(base.Adapter):
    """One outbound message, or several of the same fields, as a source of wishes."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings: Settings = settings
        # Salesforce shows ids of 15 characters and sends 18.
        self._users = {user[:_ID_LENGTH]: user for user in settings.extensions}

    def check(self, delivery: Delivery) -> None:
        """
        Return if the URL holds the token, and the message is of an organization that is let in.

        Raises:
            NotAuthentic: If not.
            BadPayload: If the message cannot be read; that is tried with the right token only.
        """
        if self.settings.token and not is_same(delivery.token, self.settings.token):
            raise NotAuthentic(
                "the token in the URL is missing or wrong; compare the outbound message's endpoint URL"
            )
        if not self.settings.organizations:
            return
        organization = text_of(_notifications(delivery).get("OrganizationId")) or ""
        if organization[:_ID_LENGTH] not in self.settings.organizations:
            raise NotAuthentic("OrganizationId is not one of this source; add it to organizations")

    def wishes(self, delivery: Delivery) -> Sequence[Wish]:
        """
        Return a wish for each notification of a message; see `Adapter.wishes` of `producers.crm.base`.

        Raises:
            BadPayload: If it cannot be read.
        """
        message = _notifications(delivery)
        found = message.get("Notification")
        notifications = found if isinstance(found, list) else [found]
        if len(notifications) > _MOST_NOTIFICATIONS:
            raise BadPayload(
                f"Notification: comes more than {_MOST_NOTIFICATIONS} times; Salesforce sends no more"
            )
        organization = text_of(message.get("OrganizationId"))
        return [self._wish(table_of(each, "Notification"), organization) for each in notifications]

    def warnings(self) -> Sequence[str]:
        """Return one sentence for each proof of origin that this source does without."""
        missing = (
            (self.settings.token is None, "without_token: whoever knows the address can have numbers dialed"),
            (not self.settings.organizations, "any_organization: any organization with the address is let in"),
        )
        return [*(sentence for is_missing, sentence in missing if is_missing), *super().warnings()]

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:  # noqa: ARG002 - all were stored, or are there already
        """Return the acknowledgement, without which Salesforce repeats the whole message for a day."""
        return Answer(body=_ACK, media_type="text/xml")

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:  # noqa: ARG002 - one answer for all
        """Return None: Salesforce has no call of its own for it; a signed webhook brings the result."""
        return None

    def _wish(self, notification: Mapping[str, Any], organization: str | None) -> Wish:
        notification_id = text_of(notification.get("Id"))
        if not notification_id:
            raise BadPayload("Notification/Id: is missing; Salesforce gives one to each notification")
        record = table_of(notification.get("sObject"), "sObject")
        settings = self.settings
        owner = text_of(record.get(settings.user_field)) or ""
        first, *others = numbers_of([record.get(name) for name in settings.number_fields]) or [""]
        facts = {
            "salesforce_organization_id": organization,
            "salesforce_notification_id": notification_id,
            "salesforce_object": (text_of(record.get("@type")) or "").rpartition(":")[2],
            "salesforce_id": text_of(record.get("Id")),
            **{name: text_of(record.get(name)) for name in settings.metadata_fields},
        }
        return Wish(
            dedupe=f"notification:{notification_id}",
            # Without a number the job is refused, so that somebody sees it.
            outto=first,
            others=tuple(others),
            user=self._users.get(owner[:_ID_LENGTH], owner) or None,
            country=country_of(record.get(settings.country_field or "")),
            metadata=without_gaps(facts),
        )


def _notifications(delivery: Delivery) -> Mapping[str, Any]:
    envelope = table_of(body_of(delivery, "xml").get("Envelope"), "Envelope")
    message = table_of(envelope.get("Body"), "Body").get("notifications")
    if not isinstance(message, Mapping):
        raise BadPayload("notifications: is missing from the SOAP body; send outbound messages here")
    return message
