"""What a CRM hears when its delivery has been taken, made from a template in the settings."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from producers.crm.base import Answer, Verdict
from producers.crm.parts.templates import Tree, filled
from worker.jobs import JobState

Status = Annotated[int, Field(ge=200, le=599)]

# RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
_WITHOUT_BODY = (204, 205, 304)


class AnswerSettings(BaseModel):
    """
    The block `answer` of a source: statuses by what became of a delivery, and the body.

    Statuses are 200 unless the operator says otherwise, because CRMs repeat, or give up on hooks, for anything
    else. The body is a text or a table with `{{ expressions }}`, which see `jobs` (a list of `id`, `state`,
    `is_new`, `errno`, `error`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    accepted: Status = 200
    duplicate: Status = 200
    refused: Status = 200
    nothing: Status = 200
    body: Tree = Field(default_factory=lambda: {"jobs": "{{ jobs }}"}, validate_default=True)
    media_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]+(; ?charset=[a-z0-9-]+)?$")] | None = None

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:
        """Return the answer to a delivery whose wishes came to these verdicts."""
        jobs = [
            {"id": one.job_id, "state": one.state, "is_new": one.is_new, "errno": one.errno, "error": one.error}
            for one in verdicts
        ]
        content = filled(self.body, {"jobs": jobs})
        body = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        media_type = self.media_type or ("application/json" if body[:1] in ("{", "[") else "text/plain")
        status: int = getattr(self, _came_to(verdicts))
        return Answer(status, b"" if status in _WITHOUT_BODY else body.encode(), media_type)


def _came_to(verdicts: Sequence[Verdict]) -> Literal["accepted", "duplicate", "refused", "nothing"]:
    if not verdicts:
        return "nothing"
    if all(one.state is JobState.REFUSED for one in verdicts):
        return "refused"
    taken = [one for one in verdicts if one.state is not JobState.REFUSED]
    return "accepted" if any(one.is_new for one in taken) else "duplicate"
