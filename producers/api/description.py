"""The OpenAPI 3.1 description: what FastAPI cannot see because we read bodies ourselves, and every problem."""

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from producers.api.models import PauseOrder, Reason, RedialOne, RedialSelected, Resolution
from producers.api.problems import MEDIA_TYPE, ProblemBody
from producers.api.schemas import BATCH_ANSWER, BATCH_BODY, IDEMPOTENCY_KEY, JOB_EXAMPLES, job_schema

_SCHEMAS = "#/components/schemas/"
_MEANINGS = {
    400: "The request cannot be read.",
    401: "There is no API key, or it is not known.",
    403: "The API key does not reach so far.",
    404: "There is no such thing (any more).",
    405: "This method does nothing here.",
    408: "The request did not come in time.",
    409: "It cannot be done as things stand.",
    413: "The body is too long.",
    414: "The URL is too long.",
    415: "The body is not of a kind that is read here.",
    422: "Some fields are wrong; each is named.",
    429: "The API key has sent too many requests.",
    431: "There are too many header fields, or they are too long.",
    503: "Redis does not answer, or is full; try again.",
}
# What may be answered whatever was asked for; the first four also where no key is needed.
_ALWAYS = (400, 408, 414, 431)
_WITH_KEY = (401, 429, 503)


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **schema}}


_RETRY_AFTER = {"Retry-After": _header("Seconds to wait before the next try.", pattern="^[0-9]+$")}
_OF_STATUS = {
    401: {"WWW-Authenticate": _header("`Bearer`.")},
    405: {"Allow": _header("The methods that do something here.")},
    408: {"Connection": _header("`close`.")},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
_QUOTA = {
    "RateLimit": _header("What is left of the key's quota.", examples=['"default";r=49998;t=1']),
    "RateLimit-Policy": _header("The key's quota.", examples=['"default";q=50000;w=10']),
}
_REPLAYED = {"Idempotency-Replayed": _header("`true` where the request came before.", enum=["true"])}
ACCEPTED_HEADERS = {"Location": _header("Where the job is.")} | _REPLAYED


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route that may answer with these problems."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}ProblemBody"}}}
    headers = {"headers": _OF_STATUS[status]} if status in _OF_STATUS else {}
    return {"description": _MEANINGS[status], "content": content, **headers}


def _body(content: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}, "parameters": list(parameters)}


def _if_any(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"requestBody": body["requestBody"] | {"required": False}}


def _json_body(schema: str, **more: Any) -> dict[str, Any]:
    return _body({"application/json": {"schema": {"$ref": f"{_SCHEMAS}{schema}"}, **more}})


# `openapi_extra=` of the routes that read their bodies themselves.
JOB_BODY = _json_body("DialJob", examples=JOB_EXAMPLES) | {"parameters": [IDEMPOTENCY_KEY]}
RESOLUTION_BODY = _json_body("Resolution", example={"verdict": "placed", "callid": "1732356.77"})
REDIAL_BODY = _json_body("Redial", example={"reason": "the trunk was down"})
REDIALS_BODY = _json_body("Redials", example={"state": ["failed"], "errno": ["unreachable"], "dry_run": True})
PAUSE_BODY = _if_any(_json_body("PauseOrder"))
REASON_BODY = _if_any(_json_body("Reason"))
BATCH = _body(BATCH_BODY, IDEMPOTENCY_KEY)
# `responses=` of the batch.
BATCH_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line of JSON for each row, and one that counts them.",
        "content": {"application/x-ndjson": BATCH_ANSWER},
        "headers": _REPLAYED,
    }
}


# Models of bodies that FastAPI does not see, and of problems.
_READ_HERE = (Resolution, RedialOne, RedialSelected, PauseOrder, Reason, ProblemBody)


def describe(app: FastAPI, pbxs: Collection[str]) -> dict[str, Any]:
    """
    Return the OpenAPI description of the intake, made once.

    Args:
        app: All of it.
        pbxs: Names of those in the settings.
    """
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    components = schema.setdefault("components", {})
    components["schemas"] = _schemas(components.get("schemas", {}), pbxs)
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"apiKey": []}]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _complete(operation, is_open=not path.startswith("/v1/"))
    _link(schema["paths"])
    app.openapi_schema = schema
    return schema


def _schemas(found: dict[str, Any], pbxs: Collection[str]) -> dict[str, Any]:
    schemas = {name: own for name, own in found.items() if not name.endswith("ValidationError")}
    own = [model.model_json_schema(ref_template=_SCHEMAS + "{model}") for model in _READ_HERE]
    for schema in (job_schema(pbxs), *own):
        schemas |= schema.pop("$defs", {})
        schemas[schema["title"]] = schema
    return schemas


def _complete(operation: dict[str, Any], *, is_open: bool) -> None:
    """Add what every request may be answered with."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):  # FastAPI's own; ours are problems
        del responses["422"]
    for status in _ALWAYS if is_open else (*_ALWAYS, *_WITH_KEY):
        responses.setdefault(str(status), _problem(status))
    if is_open:
        operation["security"] = []
        return
    for status, response in responses.items():
        if status not in {"401", *map(str, _ALWAYS)}:
            response["headers"] = response.get("headers", {}) | _QUOTA


def _link(paths: dict[str, Any]) -> None:
    """Tell what can be done with a job that was handed in."""
    jobs = paths["/v1/dial-jobs"]["post"]["responses"]["202"]
    names = {
        "look": ("", "get"),
        "cancel": (":cancel", "post"),
        "resolve": (":resolve", "post"),
        "redial": (":redial", "post"),
    }
    jobs["links"] = {
        name: {
            "operationId": paths[f"/v1/dial-jobs/{{job_id}}{suffix}"][method]["operationId"],
            "parameters": {"job_id": "$response.body#/job_id"},
        }
        for name, (suffix, method) in names.items()
    }
