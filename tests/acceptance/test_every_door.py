"""A number and a time mean the same at every door: dialed as meant, or refused with the reason."""

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests
from click.testing import CliRunner

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S
from producers.cli import cli
from tests.acceptance.intake import Client, Intake, intake
from worker.errors import InputRefused
from worker.jobs import id_of_key

TOKEN, SECRET = "0123456789abcdef0123456789abcdef", "made-up-client-secret"
# `hq` has no rules; see `settings_file`.
SETTINGS = f"""
[api]
public_url = "https://dial.example"
[pbx.kept]
api = "yeastar-s-v1.0"
base_url = "https://127.0.0.1:9"
username = "api"
password = "x"
numbers = {{ write = "keep" }}
[pbx.british]
api = "yeastar-s-v1.0"
base_url = "https://127.0.0.1:9"
username = "api"
password = "x"
numbers = {{ country = "GB" }}
[source.json]
kind = "generic"
extension = "1001"
dedupe = "id"
auth = {{ kind = "bearer", token = "{TOKEN}" }}
map = {{ outto = "outto", pbx = "pbx", not_before = "not_before", expires_at = "expires_at" }}
[source.form]
kind = "generic"
format = "form"
extension = "1001"
dedupe = "id"
auth = {{ kind = "bearer", token = "{TOKEN}" }}
map = {{ outto = "outto", pbx = "pbx", not_before = "not_before", expires_at = "expires_at" }}
[source.xml]
kind = "generic"
extension = "1001"
dedupe = "job.id"
auth = {{ kind = "bearer", token = "{TOKEN}" }}
[source.xml.map]
outto = "job.outto"
pbx = "job.pbx"
not_before = "job.not_before"
expires_at = "job.expires_at"
[source.odoo]
kind = "generic"
preset = "odoo"
extension = "1001"
auth = {{ token = "{TOKEN}" }}
map = {{ pbx = "pbx" }}
[source.zoho]
kind = "generic"
preset = "zoho"
extension = "1001"
auth = {{ token = "{TOKEN}" }}
map = {{ pbx = "pbx" }}
[source.freshsales]
kind = "generic"
preset = "freshsales"
extension = "1001"
auth = {{ token = "{TOKEN}" }}
map = {{ pbx = "pbx" }}
[source.flow]
kind = "generic"
preset = "salesforce-flow"
extension = "1001"
auth = {{ token = "{TOKEN}" }}
map = {{ pbx = "pbx" }}
[source.bitrix]
kind = "bitrix24"
application_token = "{TOKEN}"
extension = "1001"
[source.hub]
kind = "hubspot"
client_secret = "{SECRET}"
extension = "1001"
[source.sales]
kind = "salesforce"
token = "{TOKEN}"
any_organization = true
extension = "1001"
"""
_numbers = count(1)


@dataclass(frozen=True)
class Outcome:
    """What became of a job: what the PBX gets, or why it was refused."""

    dialed: str | None
    reason: str = ""


Door = Callable[["Doors", Mapping[str, Any]], Outcome]


class Doors:
    """The doors of one installation; each takes the fields of a job."""

    def __init__(self, served: Intake, client: Client, folder: Path) -> None:
        self.served, self.client, self.folder = served, client, folder
        self.dialer = served.dialer

    def of(self, job_id: str) -> Outcome:
        record = self.dialer.hopper.record(job_id)
        if record["state"] == "refused":
            return Outcome(None, record["error"])
        return Outcome(record["outto"])

    def python(self, fields: Mapping[str, Any]) -> Outcome:
        try:
            return self.of(self.dialer.enqueue(extid="1001", **fields).id)
        except InputRefused as refused:
            return Outcome(None, str(refused))

    def command_line(self, fields: Mapping[str, Any]) -> Outcome:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in fields.items() if name != "outto"]
        return self._run("enqueue", *options, "--", "1001", str(fields["outto"]))

    def csv_file(self, fields: Mapping[str, Any]) -> Outcome:
        return self._import("leads.csv", self._csv(fields))

    def ndjson_file(self, fields: Mapping[str, Any]) -> Outcome:
        return self._import("leads.ndjson", self._ndjson(fields))

    def post(self, fields: Mapping[str, Any]) -> Outcome:
        response = self.client.post("/v1/dial-jobs", json={"extid": "1001", **fields})
        body = response.json()
        return self.of(body["job_id"]) if response.status_code == 202 else Outcome(None, body["detail"])

    def batch_csv(self, fields: Mapping[str, Any]) -> Outcome:
        return self._batch("text/csv", self._csv(fields))

    def batch_ndjson(self, fields: Mapping[str, Any]) -> Outcome:
        return self._batch("application/x-ndjson", self._ndjson(fields))

    def json_hook(self, fields: Mapping[str, Any]) -> Outcome:
        return self._hook("json", "application/json", lambda one: json.dumps({"id": one, **fields}))

    def form_hook(self, fields: Mapping[str, Any]) -> Outcome:
        return self._hook("form", "application/x-www-form-urlencoded", lambda one: encoded({"id": one, **fields}))

    def xml_hook(self, fields: Mapping[str, Any]) -> Outcome:
        def body(one: str) -> str:
            inner = {"id": one, **fields}.items()
            return "<job>" + "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in inner) + "</job>"

        return self._hook("xml", "application/xml", body)

    def odoo(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        record = {"_model": "m", "_id": one, "write_date": "x", "phone": " ", "mobile": fields["outto"]}
        return self._posted(f"odoo/{TOKEN}", record | pbx_of(fields), f"odoo:m:{one}:x")

    def zoho(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        record = {"record_id": one, "modified_time": "x", "Phone": "", "Mobile": fields["outto"], "token": TOKEN}
        return self._posted("zoho", record | pbx_of(fields), f"zoho:{one}:x")

    def freshsales(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        record = {"id": one, "updated_at": "x", "phone": "N/A", "mobile": fields["outto"]}
        return self._posted(
            "freshsales", record | pbx_of(fields), f"freshsales:{one}:x", {"X-Outdial-Token": TOKEN}
        )

    def flow(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        record = {"recordId": one, "version": "x", "Phone": " ", "MobilePhone": fields["outto"]}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return self._posted("flow", record | pbx_of(fields), f"flow:{one}:x", headers)

    def bitrix(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        data = {"CALL_ID": one, "USER_ID": "7", "PHONE_NUMBER_INTERNATIONAL": "", "PHONE_NUMBER": fields["outto"]}
        pairs = {f"data[{name}]": value for name, value in data.items()}
        body = encoded({"event": "ONEXTERNALCALLSTART", **pairs, "auth[application_token]": TOKEN})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._delivered("bitrix", body, headers, f"bitrix:call:{one}")

    def hubspot(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        properties = {"phone": "", "mobilephone": fields["outto"]}
        body = json.dumps({"callbackId": one, "object": {"properties": properties}})
        text = f"POST{self._public('hub')}{body}".encode()
        headers = {
            "Content-Type": "application/json",
            "X-HubSpot-Signature": hashlib.sha256(SECRET.encode() + text).hexdigest(),
            "X-HubSpot-Signature-Version": "v2",
        }
        return self._delivered("hub", body, headers, f"hub:action:{one}")

    def salesforce(self, fields: Mapping[str, Any]) -> Outcome:
        one = self._one()
        record = f"<sObject><Id>1</Id><Phone/><MobilePhone>{escape(str(fields['outto']))}</MobilePhone></sObject>"
        message = f"<notifications><Notification><Id>{one}</Id>{record}</Notification></notifications>"
        body = f"<Envelope><Body>{message}</Body></Envelope>"
        return self._delivered(f"sales/{TOKEN}", body, {"Content-Type": "text/xml"}, f"sales:notification:{one}")

    def _one(self) -> str:
        return f"n{next(_numbers)}"

    def _public(self, source: str) -> str:
        return f"https://dial.example/hooks/{source}"

    def _run(self, *args: str) -> Outcome:
        config = str(self.folder / "outdial.toml")
        result = CliRunner().invoke(cli, ["--config", config, *args])
        return self.of(result.stdout.strip()) if result.exit_code == 0 else Outcome(None, result.stderr)

    def _import(self, name: str, text: str) -> Outcome:
        file = self.folder / name
        file.write_bytes(text.encode())
        key = json.loads(text)["key"] if name.endswith("ndjson") else f"k{next(_numbers) - 1}"
        result = CliRunner().invoke(cli, ["--config", str(self.folder / "outdial.toml"), "import", str(file)])
        return self.of(id_of_key(key)) if result.exit_code == 0 else Outcome(None, result.stderr)

    def _batch(self, kind: str, text: str) -> Outcome:
        headers = {"Content-Type": kind}
        response = self.client.post("/v1/dial-jobs:batch", data=text.encode(), headers=headers)
        verdict = json.loads(response.text.splitlines()[0])
        return self.of(verdict["job_id"]) if "job_id" in verdict else Outcome(None, "; ".join(verdict["problems"]))

    def _csv(self, fields: Mapping[str, Any]) -> str:
        columns = {"extid": "1001", "key": f"k{next(_numbers)}", **fields}
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([columns.keys(), columns.values()])
        return text.getvalue()

    def _ndjson(self, fields: Mapping[str, Any]) -> str:
        return json.dumps({"extid": "1001", "key": f"k{next(_numbers)}", **fields}) + "\n"

    def _hook(self, source: str, kind: str, body: Callable[[str], str]) -> Outcome:
        one = self._one()
        headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
        return self._delivered(source, body(one), headers, f"{source}:{one}")

    def _posted(
        self, target: str, record: Mapping[str, Any], key: str, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        kind = {"Content-Type": "application/json"}
        return self._delivered(target, json.dumps(record), kind | dict(headers or {}), key)

    def _delivered(self, target: str, body: str, headers: Mapping[str, str], key: str) -> Outcome:
        url = f"{self.client.url}/hooks/{target}"
        with requests.Session() as session:
            session.trust_env = False
            response = session.post(url, data=body.encode(), headers=dict(headers), timeout=GENEROUS_S)
        assert response.status_code == 200, response.text
        return self.of(id_of_key(key))


def pbx_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"pbx": fields["pbx"]} if "pbx" in fields else {}


def encoded(fields: Mapping[str, Any]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(str(value))}" for name, value in fields.items())


# Doors that take every field, and those that take a number alone.
WHOLE: dict[str, Door] = {
    "python": Doors.python,
    "command line": Doors.command_line,
    "CSV": Doors.csv_file,
    "NDJSON": Doors.ndjson_file,
    "POST": Doors.post,
    "batch of CSV": Doors.batch_csv,
    "batch of NDJSON": Doors.batch_ndjson,
    "JSON hook": Doors.json_hook,
    "form hook": Doors.form_hook,
    "XML hook": Doors.xml_hook,
}
WITH_PBX: dict[str, Door] = {
    **WHOLE,
    "Odoo": Doors.odoo,
    "Zoho": Doors.zoho,
    "Freshsales": Doors.freshsales,
    "Salesforce Flow": Doors.flow,
}
NUMBER_ALONE: dict[str, Door] = {
    "Bitrix24": Doors.bitrix,
    "HubSpot": Doors.hubspot,
    "Salesforce": Doors.salesforce,
}


@pytest.fixture(scope="module")
def doors(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    with intake(folder, redis_server.url, "doors", settings=(SETTINGS,)) as running:
        yield Doors(running, running.client(), folder)


DIALED = [
    ({"outto": "41000"}, "41000"),
    ({"outto": "020 7946 0018"}, "02079460018"),
    ({"outto": "+44 20 7946 0018"}, "+442079460018"),
    ({"outto": "030/23125010"}, "03023125010"),
    ({"outto": "+44 20 7946 0018", "pbx": "kept"}, "+442079460018"),
    ({"outto": "+44 (0)20 7946 0018", "pbx": "british"}, "02079460018"),
    ({"outto": "0044 (0)20 7946 0018", "pbx": "british"}, "02079460018"),
]
REFUSED = [
    ({"outto": "442079460018.0"}, "is a decimal"),
    ({"outto": "4.4E+11"}, "lost digits in a spreadsheet"),
    ({"outto": "020 7946 0018 / 020 7946 0019"}, "more than one number"),
    ({"outto": "030 23125010/22"}, "more than one number"),
    ({"outto": "41000, 41001"}, "more than one number"),
    ({"outto": "0044 (0)20 7946 0018"}, "has a 0 behind its country code"),
    ({"outto": "0044 (0)20 7946 0018", "pbx": "kept"}, "has a 0 behind its country code"),
    ({"outto": "+1 202 555 0143*227"}, "has an extension"),
    ({"outto": "202 555 0143#12", "pbx": "kept"}, "has an extension"),
    ({"outto": "020 7946 0018 x12", "pbx": "british"}, "has an extension"),
    ({"outto": "030 231250-0", "pbx": "british"}, "may be an extension"),
    ({"outto": "*7241000"}, "is a service code"),
    ({"outto": "##002#", "pbx": "british"}, "is a service code"),
    ({"outto": "7946001", "pbx": "british"}, "has neither a + nor the 0"),
    ({"outto": "0000000"}, "no digit but 0"),
    ({"outto": "N/A"}, "has letters"),
    ({"outto": "112"}, "emergency service"),
]


@pytest.mark.parametrize("door", WITH_PBX)
def test_a_number_is_dialed_as_it_was_meant_or_refused_with_its_reason(doors: Doors, door: str) -> None:
    for fields, digits in DIALED:
        assert WITH_PBX[door](doors, fields) == Outcome(digits), fields
    for fields, reason in REFUSED:
        outcome = WITH_PBX[door](doors, fields)
        assert (outcome.dialed, reason in outcome.reason) == (None, True), (fields, outcome)


@pytest.mark.parametrize("door", NUMBER_ALONE)
def test_so_it_is_where_the_source_chooses_the_pbx(doors: Doors, door: str) -> None:
    for fields, digits in DIALED:
        if "pbx" not in fields:
            assert NUMBER_ALONE[door](doors, fields) == Outcome(digits), fields
    for fields, reason in REFUSED:
        if "pbx" not in fields:
            outcome = NUMBER_ALONE[door](doors, fields)
            assert (outcome.dialed, reason in outcome.reason) == (None, True), (fields, outcome)


IN_JSON = ("python", "NDJSON", "POST", "batch of NDJSON", "JSON hook")


@pytest.mark.parametrize("door", IN_JSON)
def test_a_json_number_is_digits_without_point_and_exponent(doors: Doors, door: str) -> None:
    assert WHOLE[door](doors, {"outto": 442079460018}) == Outcome("442079460018")
    for number in (442079460018.0, 4.42079e11, 4.420794600180001e30, 10**16, -1, True):
        assert WHOLE[door](doors, {"outto": number}).dialed is None, number


SPACED = [door for door in WHOLE if door != "XML hook"]  # blanks around the text of an element mean nothing


@pytest.mark.parametrize("door", SPACED)
def test_a_blank_in_front_may_be_a_plus_that_a_form_lost(doors: Doors, door: str) -> None:
    outcome = WHOLE[door](doors, {"outto": " 442079460018"})
    assert (outcome.dialed, "may be a + that a form lost" in outcome.reason) == (None, True), outcome
    assert WHOLE[door](doors, {"outto": " 020 7946 0018"}) == Outcome("02079460018")


WRONG_TIMES = [
    *("46357.375", "1795424400", "2026-12-01", "2026-12-01T09:00:00"),
    *("tomorrow", "2026-12-01T09:00:00 01:00", "2026-12-01T09:00:00 CET"),
]


@pytest.mark.parametrize("door", WHOLE)
def test_a_time_has_an_offset_or_is_refused(doors: Doors, door: str) -> None:
    good = {"outto": "41000", "not_before": "2037-01-01T09:00:00+01:00"}
    assert WHOLE[door](doors, good) == Outcome("41000")
    for given in WRONG_TIMES:
        outcome = WHOLE[door](doors, {"outto": "41000", "not_before": given})
        right = "expected a time with its offset"
        assert (outcome.dialed, right in outcome.reason) == (None, True), (given, outcome)


@pytest.mark.parametrize("door", [door for door in WHOLE if door != "command line"])
def test_a_job_that_would_expire_at_once_is_refused(doors: Doors, door: str) -> None:
    for given in ("2026-11-23T09:00:00Z", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())):
        outcome = WHOLE[door](doors, {"outto": "41000", "expires_at": given})
        assert (outcome.dialed, "has passed; expected a time in the future" in outcome.reason) == (None, True), (
            outcome
        )
    assert WHOLE[door](doors, {"outto": "41000", "expires_at": "2037-01-01T09:00:00Z"}) == Outcome("41000")


@pytest.mark.parametrize("door", IN_JSON[1:4])
def test_null_is_not_given_and_every_wrong_field_is_named(doors: Doors, door: str) -> None:
    optional = ("pbx", "priority", "autoanswer", "on_unknown", "not_before", "expires_at", "metadata")
    assert WHOLE[door](doors, {"outto": "41000", **dict.fromkeys(optional)}) == Outcome("41000")
    wrong = {"priority": "high", "not_before": "tomorrow", "autoanswer": "maybe", "metadata": {"lead": 7}}
    past = {"expires_at": "2026-11-23T09:00:00Z"}
    reason = WHOLE[door](doors, {"outto": "…", "pbx": "nowhere", **wrong, **past}).reason
    for field in ("outto", "pbx", "priority", "not_before", "expires_at", "autoanswer", "metadata.lead"):
        assert f"{field}: " in reason, reason
    assert "None" not in reason


def test_an_extension_that_comes_with_a_click_is_not_dropped(doors: Doors) -> None:
    one = doors._one()
    data = {"CALL_ID": one, "USER_ID": "7", "PHONE_NUMBER_INTERNATIONAL": "+442079460018", "EXTENSION": "12"}
    pairs = {f"data[{name}]": value for name, value in data.items()}
    body = encoded({"event": "ONEXTERNALCALLSTART", **pairs, "auth[application_token]": TOKEN})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    outcome = doors._delivered("bitrix", body, headers, f"bitrix:call:{one}")
    assert (outcome.dialed, "has an extension" in outcome.reason) == (None, True)


def test_a_byte_order_mark_before_json_is_dropped(doors: Doors) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"extid": "1001", "outto": "41000"}).encode()
    response = doors.client.post("/v1/dial-jobs", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 202


def test_a_pointer_leads_to_each_wrong_field(doors: Doors) -> None:
    metadata = {"lead": 7, "a/b ~c: d": True}
    response = doors.client.post("/v1/dial-jobs", json={"extid": "x", "outto": "41000", "metadata": metadata})
    assert response.status_code == 422
    pointers = [error["pointer"] for error in response.json()["errors"]]
    assert pointers == ["/extid", "/metadata/lead", "/metadata/a~1b ~0c: d"]
