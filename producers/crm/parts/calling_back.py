"""The call that tells a CRM of a result, made from a template in the settings."""

import json
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from producers.crm.parts.auth import HeaderName
from producers.crm.parts.expressions import Expr, Scope, is_true
from producers.crm.parts.templates import Text, Tree, filled
from worker.jobs import DialResult, JobState
from worker.webhooks import Call

_HOST = re.compile(r"https?://[^/?#@\s{}]+[/?]")
_MEDIA_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


class ResultSettings(BaseModel):
    """
    The block `result` of a source: how its CRM hears of results.

    Texts of `url`, `headers` and `body` may hold `{{ expressions }}` over `result` (as the results backend has
    it), `metadata` (of the wish), `seq`, and `state`, which is that of the result as the table `states` calls it.
    Where `when` is said and not so, there is no call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = "POST"
    url: Text
    headers: dict[HeaderName, Text] = Field(default_factory=dict)
    body: Tree = None
    format: Literal["json", "form"] = "json"
    states: dict[JobState, Annotated[str, Field(max_length=200)]] = Field(default_factory=dict)
    when: Expr | None = None

    @field_validator("url")
    @classmethod
    def _names_its_host(cls, url: Text) -> Text:
        # An end of the host's name is wanted, else what is put in behind it could make it another one.
        if not _HOST.match(url.head if not url.is_constant else url.head + "/"):
            raise ValueError("must begin with https://HOST/ as it is, before any expression")
        return url

    @model_validator(mode="after")
    def _forms_are_flat(self) -> Self:
        if self.format == "form" and not isinstance(self.body, dict | None):
            raise ValueError("body: must be a table of fields where format is form")
        return self

    def call(self, result: DialResult, *, seq: int) -> Call | None:
        """
        Return the call for a result; None where `when` is not so, or where the URL needs what is not there.

        Args:
            result: What came of a job.
            seq: Counts the ends of this job, from 1.
        """
        data = self._data(result, seq)
        url = self.url.url(data)
        if url is None or not (self.when is None or is_true(self.when.of(data, Scope(data)))):
            return None
        headers = {name: value.header(data) for name, value in self.headers.items()}
        if self.body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = _MEDIA_TYPES[self.format]
        return Call(self.method, url, headers, self._body(data))

    def _data(self, result: DialResult, seq: int) -> dict[str, Any]:
        state = self.states.get(result.state, str(result.state))
        return {"result": result.plain(), "metadata": dict(result.metadata), "seq": seq, "state": state}

    def _body(self, data: dict[str, Any]) -> bytes:
        if self.body is None:
            return b""
        content = filled(self.body, data)
        if self.format == "form":
            return urlencode({name: "" if value is None else value for name, value in content.items()}).encode()
        return json.dumps(content, ensure_ascii=False).encode()
