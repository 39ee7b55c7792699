"""Secrets and certificates of the sections: each process is given those of its roles, and told what is missing."""

import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from worker.secret_reader import Role, SecretReader, unreadable
from worker.settings.pbx import PbxSettings
from worker.settings.services import ApiSettings, FlowerSettings
from worker.webhooks.endpoints import EndpointSettings, Route, WebhooksSettings, signing_key, tells

# Names that end like those of secrets in files, and are not.
_REAL_FILES = ("ca_file",)
# Tables of a source whose names are those of the CRM and of a job.
_NO_SECRETS_IN = ("map", "extensions")
# Names of secrets that may stand in the settings file itself.
SECRET_NAMES = frozenset(
    {"password", "secret", "token", "application_token", "client_secret", "access_token", "rest_url"}
)


def pbx_with_secrets(pbx: PbxSettings, where: str, reader: SecretReader) -> PbxSettings:
    """Return a PBX with its password and certificate, or without a password where the process does not dial."""
    if not reader.serves(Role.DIALING):
        return pbx.model_copy(update={"password": None})
    if not (pbx.password or pbx.password_env or pbx.password_file):
        reader.problems.append(f"{where}.password: is missing; give password_env or password_file")
    changes = _password_of(pbx, where, reader)
    if pbx.ca_file:
        changes["ca_file"] = reader.place(pbx.ca_file)
        if problem := unreadable(changes["ca_file"]):
            told = f"{where}.ca_file: {pbx.ca_file} {problem}; give the PBX's certificate in PEM form"
            reader.problems.append(told)
    return pbx.model_copy(update=changes)


def flower_with_secrets(flower: FlowerSettings, reader: SecretReader) -> FlowerSettings:
    """Return Flower's section with its password and the place of its file, where the process is Flower."""
    if not reader.serves(Role.FLOWER):
        return flower.model_copy(update={"password": None})
    changes = _password_of(flower, "flower", reader)
    if flower.database is not None:
        changes["database"] = reader.folder / flower.database
    return flower.model_copy(update=changes)


def _password_of(part: PbxSettings | FlowerSettings, where: str, reader: SecretReader) -> dict[str, Any]:
    secret = reader.read(part.password_env, part.password_file, f"{where}.password")
    return {"password": SecretStr(secret)} if secret else {}


def api_with_certificate(api: ApiSettings, reader: SecretReader) -> ApiSettings:
    """Return the intake's section with the places of its certificate and key, where the process is the intake."""
    if not reader.serves(Role.INTAKE):
        return api
    changes = {}
    for name in ("tls_cert", "tls_key"):
        file: Path | None = getattr(api, name)
        if file is not None:
            changes[name] = reader.place(file)
            if problem := unreadable(changes[name]):
                reader.problems.append(f"api.{name}: {file} {problem}; give one in PEM form")
    return api.model_copy(update=changes)


def source_with_secrets(table: dict[str, Any], where: str, reader: SecretReader) -> dict[str, Any]:
    """Return the block of a CRM with its secrets, as far as the process reads its hooks or tells it of results."""
    if reader.serves(Role.INTAKE) or (reader.serves(Role.TELLING) and tells(table)):
        return _with_secrets(table, where, reader)
    return table  # it still says who it is, and whether it tells its CRM


def _with_secrets(table: dict[str, Any], where: str, reader: SecretReader) -> dict[str, Any]:
    """Return a table in which every `NAME_env` and `NAME_file` became `NAME`, however deep it stands."""
    resolved: dict[str, Any] = {}
    for name, value in table.items():
        plain, _, form = name.rpartition("_")
        if name in _NO_SECRETS_IN:
            resolved[name] = value
        elif isinstance(value, dict):
            resolved[name] = _with_secrets(value, f"{where}.{name}", reader)
        elif form in ("env", "file") and plain and isinstance(value, str) and name not in _REAL_FILES:
            if plain in table:
                reader.problems.append(f"{where}.{plain}: is given twice; give either {plain} or {name}")
            variable, file = (value, None) if form == "env" else (None, Path(value))
            secret = reader.read(variable, file, f"{where}.{plain}")
            if secret is not None:
                resolved[plain] = secret
        else:
            resolved[name] = value
    return resolved


def endpoint_with_secrets(endpoint: EndpointSettings, where: str, reader: SecretReader) -> EndpointSettings:
    """Return an endpoint with its signing secrets, or without any where the process does not tell of results."""
    if not reader.serves(Role.TELLING):
        return endpoint.model_copy(update={"secret": ()})
    named = [(variable, None) for variable in endpoint.secret_env]
    files = [(None, file) for file in endpoint.secret_file]
    found = [reader.read(*place, f"{where}.secret") for place in (*named, *files)]
    for secret in filter(None, found):
        try:
            signing_key(secret)
        except ValueError as wrong:
            reader.problems.append(f"{where}.secret: {wrong}")
    if not found and not endpoint.secret:
        reader.problems.append(f"{where}.secret: is missing; give secret_env or secret_file")
    secrets = (*endpoint.secret, *(SecretStr(secret) for secret in found if secret))
    return _with_ca_file(endpoint.model_copy(update={"secret": secrets}), where, reader)


def webhooks_with_certificates(webhooks: WebhooksSettings, reader: SecretReader) -> WebhooksSettings:
    """Return the webhooks' section with the places of certificates, where the process tells of results."""
    if not reader.serves(Role.TELLING):
        return webhooks
    sources = {
        name: _with_ca_file(route, f"webhooks.sources.{name}", reader) for name, route in webhooks.sources.items()
    }
    return webhooks.model_copy(update={"sources": sources})


_RouteT = TypeVar("_RouteT", bound=Route)


def _with_ca_file(route: _RouteT, where: str, reader: SecretReader) -> _RouteT:
    if route.ca_file is None:
        return route
    file = reader.place(route.ca_file)
    if problem := unreadable(file):
        told = f"{where}.ca_file: {route.ca_file} {problem}; give a certificate in PEM form"
        reader.problems.append(told)
    return route.model_copy(update={"ca_file": file})


def holds_secret(content: dict[str, Any]) -> bool:
    """Whether a settings file has a secret in it, and not only where one is."""
    addresses = (content.get(name) for name in ("redis_url", "result_backend"))
    # Between the user's name and the host; a user alone is no secret.
    if any(re.search(r"://[^@/]*:[^@]*@", url) for url in addresses if isinstance(url, str)):
        return True
    parts = [part for kind in ("pbx", "webhook", "source") for part in content.get(kind, {}).values()]
    return any(_names_secret(part) for part in (*parts, content.get("flower", {})))


def _names_secret(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    own = (item for item in part.items() if item[0] not in _NO_SECRETS_IN)
    return any(name in SECRET_NAMES or _names_secret(value) for name, value in own)
