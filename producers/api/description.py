"""The OpenAPI 3.1 description: what FastAPI cannot see because we read bodies ourselves, and every problem."""

from typing import Any, ClassVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from producers.api.models import Resolution
from producers.api.problems import MEDIA_TYPE, ProblemBody
from worker.jobs import DialJob

_SCHEMAS = "#/components/schemas/"
_MEANINGS = {
    400: "The request cannot be read.",
    401: "There is no API key, or it is not known.",
    403: "The API key does not reach so far.",
    404: "There is no such thing (any more).",
    408: "The body did not come in time.",
    409: "It cannot be done as things stand.",
    413: "The body is too long.",
    415: "The body is not of a kind that is read here.",
    422: "Some fields are wrong; each is named.",
    429: "The API key has sent too many requests.",
    503: "Redis does not answer, or is full; try again.",
}
_EXAMPLE = {
    "extid": "1002",
    "outto": "+44 20 7946 0018",
    "pbx": "hq",
    "priority": "urgent",
    "key": "crm:call:7",
    "metadata": {"lead": "L-7"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route that may answer with these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}ProblemBody"}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def body_of(schema: str, media_type: str = "application/json", **more: Any) -> dict[str, Any]:
    """Return `openapi_extra=` of a route that reads its body itself."""
    content = {media_type: {"schema": {"$ref": f"{_SCHEMAS}{schema}"}, **more}}
    return {"requestBody": {"required": True, "content": content}}


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the request: sent again, it is answered with the job of the first time.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
JOB_BODY = body_of("DialJob", example=_EXAMPLE) | {"parameters": [_IDEMPOTENCY_KEY]}


class Batch:
    """Body and answers of the route of many jobs."""

    body: ClassVar[dict[str, Any]] = {
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "One JSON object per line, as for a single job."},
                    "example": '{"extid":"1002","outto":"41000"}\n{"extid":"1003","outto":"41001"}\n',
                },
                "text/csv": {
                    "schema": {"type": "string", "description": "A header with names of fields, then the rows."},
                    "example": "extid,outto,metadata.lead\n1002,41000,L-7\n",
                },
            },
        },
    }
    answers: ClassVar[dict[int | str, dict[str, Any]]] = {
        200: {
            "description": "A line of JSON for each row, and one that counts them.",
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"line":1,"job_id":"0190f3f2-5b57-5c3e-9b3a-4f0e8c9d7a11","state":"waiting",'
                    '"is_new":true}\n{"summary":{"added":1,"already_there":0,"rejected":0}}\n',
                }
            },
        }
    }


RESOLUTION_BODY = body_of("Resolution", example={"verdict": "placed", "callid": "1732356.77"})


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of the intake, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (DialJob, Resolution, ProblemBody):
        own = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        schemas |= own.pop("$defs", {})
        schemas[model.__name__] = own
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"apiKey": []}]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    app.openapi_schema = schema
    return schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Add what every request may be answered with."""
    is_open = not path.startswith("/v1/")
    if is_open:
        operation["security"] = []
    for status, response in problems(*(() if is_open else (401, 429, 503))).items():
        operation["responses"].setdefault(str(status), response)
    if not is_open:
        for response in operation["responses"].values():
            response["headers"] = response.get("headers", {}) | _QUOTA


_QUOTA = {
    "RateLimit": {"description": "What is left of the key's quota.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The key's quota.", "schema": {"type": "string"}},
}
