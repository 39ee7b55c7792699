"""
What may be sent, as JSON schemas: of bodies that we read ourselves, and of what FastAPI cannot say.

`tests/acceptance/test_api_description.py` holds them against the intake: what they allow is taken, what they
forbid is refused. Three rules are beyond a schema: `outto` must be one number of its country, `expires_at` must be
in the future and later than `not_before`, and an `Idempotency-Key` must not come with another request.
"""

from collections.abc import Collection
from typing import Any

from worker.fields import LONGEST_INTEGER, TIME
from worker.jobs import PBX_NAME, DialJob

Schema = dict[str, Any]

# More names than this would be a burden to whoever reads the description.
_MOST_NAMED = 50
MOMENT = f"^{TIME}$"
# What may be written as a number. Whether its digits are one is a matter of its country.
NUMBER = r"^[+(]{0,2}[0-9][0-9 ().\/\-]{0,60}$"

_OUTTO: Schema = {
    "description": "The number to call, as people write it; the PBX's rules make of it what the PBX dials. "
    "Refused: emergency numbers, two numbers in one text, extensions, numbers of a wrong length for a country.",
    "anyOf": [
        {"type": "string", "pattern": NUMBER},
        {"type": "integer", "minimum": 1, "maximum": LONGEST_INTEGER},
    ],
    "examples": ["+44 20 7946 0018", "(202) 555-0143", "41000"],
}
_EXTID: Schema = {
    "description": "The extension that rings first.",
    "anyOf": [
        {"type": "string", "pattern": "^[0-9]{1,10}$", "minLength": 1, "maxLength": 10},
        {"type": "integer", "minimum": 0, "maximum": 9_999_999_999},
    ],
    "examples": ["1002"],
}
_AUTOANSWER: Schema = {
    "description": "Whether the extension picks up by itself.",
    "enum": ["yes", "no", "true", "false", True, False],
    "default": "no",
}
_METADATA: Schema = {
    "description": "Comes back with the result: put your record's id here.",
    "type": "object",
    "maxProperties": 32,
    "propertyNames": {"maxLength": 64},
    "additionalProperties": {"anyOf": [{"type": "string", "maxLength": 500}, {"type": "null"}]},
    "default": {},
    "examples": [{"lead": "L-7"}],
}
_BY_HAND = {"outto": _OUTTO, "extid": _EXTID, "autoanswer": _AUTOANSWER, "metadata": _METADATA}
_MEANINGS = {
    "pbx": "Which PBX; may be left out where there is one, or a default.",
    "priority": "Which jobs of one PBX go first.",
    "key": "Names the job: the same again is the same job, for as long as its record lives.",
    "not_before": "No call begins earlier.",
    "expires_at": "No call begins later; must be in the future, and later than not_before.",
    "on_unknown": "What is done when nobody can tell whether the phone rang.",
}

JOB_EXAMPLES: dict[str, Schema] = {
    "smallest": {"summary": "All that is needed", "value": {"extid": "1002", "outto": "41000"}},
    "full": {
        "summary": "A call for a lead",
        "value": {
            "extid": "1002",
            "outto": "+44 20 7946 0018",
            "priority": "urgent",
            "key": "crm:call:7",
            "expires_at": "2030-11-23T17:00:00Z",
            "metadata": {"lead": "L-7"},
        },
    },
}

IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the request: sent again, it is answered with the job of the first time; with another "
    "request it is 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}

_NDJSON: Schema = {
    "description": 'One JSON object per line, as for a single job: `{"extid":"1002","outto":"41000"}`.',
}
_CSV: Schema = {
    "type": "string",
    "description": "The first line names the columns: extid, outto, and any other fields of a job, metadata as "
    "metadata.NAME; in any order, and with `;`, `|` or tab if you like.",
    "pattern": r"^extid,outto(,metadata\.[a-z]{1,20})?\r?\n",
}
BATCH_BODY: Schema = {
    "application/x-ndjson": {
        "schema": _NDJSON,
        "example": '{"extid":"1002","outto":"41000"}\n{"extid":"1003","outto":"+44 20 7946 0018","key":"crm:8"}\n',
    },
    "text/csv": {"schema": _CSV, "example": "extid,outto,metadata.lead\n1002,41000,L-7\n"},
}
BATCH_ANSWER: Schema = {
    "schema": {"type": "string", "description": "A JSON object per line."},
    "example": '{"line":2,"job_id":"0190f3f2-5b57-5c3e-9b3a-4f0e8c9d7a11","state":"waiting","is_new":true}\n'
    '{"line":3,"problems":["extid: \'x1\' is invalid; expected 1 to 10 digits"]}\n'
    '{"summary":{"added":1,"already_there":0,"rejected":1}}\n',
}


def job_schema(pbxs: Collection[str]) -> Schema:
    """
    Return the schema of a job as it is handed in.

    Args:
        pbxs: Names of those in the settings; told if they are not too many.
    """
    schema = DialJob.model_json_schema(ref_template="#/components/schemas/{model}")
    names: Schema = {"enum": sorted(pbxs)} if 0 < len(pbxs) <= _MOST_NAMED else {"pattern": PBX_NAME}
    properties = schema["properties"] | _BY_HAND
    properties["pbx"] = or_null({"type": "string"} | names)
    for name in ("not_before", "expires_at"):
        properties[name] = or_null({"type": "string", "format": "date-time", "pattern": MOMENT})
    for name in ("autoanswer", "priority", "on_unknown", "metadata"):
        properties[name] = or_null(properties[name])
    for name, meaning in _MEANINGS.items():
        properties[name] = {**properties[name], "description": meaning}
    return schema | {
        "title": "DialJob",
        "description": "One wish: an extension is to call a number.",
        "properties": properties,
    }


_DESCRIBING = ("description", "default", "examples")


def or_null(schema: Schema) -> Schema:
    """Return a schema that takes null for "not given" as well; what describes the field stays outside."""
    if any(option.get("type") == "null" for option in schema.get("anyOf", ())):
        return dict(schema)
    outside: Schema = {name: schema[name] for name in _DESCRIBING if name in schema}
    inner = {name: rule for name, rule in schema.items() if name not in outside}
    return {"default": None, **outside, "anyOf": [inner, {"type": "null"}]}
