"""Route of many jobs at once: rows in, a verdict for each row out."""

import io
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, TextIO

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from producers.api.access import Caller, needs
from producers.api.bodies import expect, pieces
from producers.api.description import BATCH, BATCH_ANSWERS, problems
from producers.api.idempotency import under_way
from producers.api.intake import Intake
from producers.api.jobs import PATH
from producers.api.problems import Problem, of_idempotency_key, unavailable
from producers.enqueue import Refusal, Ticket
from producers.importing import SOURCES, FileFormat, Outcome, Tally, import_rows
from producers.row_keys import RowKeys
from worker.errors import InputRefused, ServiceUnreachable
from worker.hopper import Once
from worker.metrics import jobs_accepted

_FORMATS: dict[str, FileFormat] = {"application/x-ndjson": "ndjson", "text/csv": "csv"}
_IN_MEMORY = 2**20
_PIECE = 2**16

Enqueuer = Annotated[Caller, Depends(needs("enqueue"))]


class BatchRoutes:
    """
    `POST /v1/dial-jobs:batch`.

    Args:
        intake: What it shares with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["dial jobs"])
        self.router.add_api_route(
            f"{PATH}:batch",
            self.post,
            methods=["POST"],
            responses=problems(400, 403, 408, 409, 413, 415, 422) | BATCH_ANSWERS,
            openapi_extra=BATCH,
            response_class=StreamingResponse,
            summary="Hand in many jobs",
        )

    async def post(self, request: Request, caller: Enqueuer) -> Response:
        """
        Hand in many jobs, as NDJSON or CSV with the names of a job's fields.

        The answer has a line of JSON for each row, in order: its `job_id`, `state` and `is_new`, or `problems`.
        A wrong row keeps none of the others out, and the last line counts them. Nothing is handed in before all of
        the body has come. Rows that have no `key` are new jobs each time, unless an `Idempotency-Key` names the
        batch: sent again under it, it adds what is missing and nothing else.
        """
        kind = expect(request, *_FORMATS)
        with under_way(self._intake, request, caller) as name, _spool() as rows:
            mark = await self._received(request, rows)
            came_before = name is not None and await self._came_before(name, mark)
            answers = await self._intake.work(self._handed_in, rows, _FORMATS[kind], caller, name)
        headers = {"Idempotency-Replayed": "true"} if came_before else {}
        return StreamingResponse(_parts(answers), media_type="application/x-ndjson", headers=headers)

    async def _received(self, request: Request, rows: IO[bytes]) -> str:
        digest = sha256()
        async for piece in pieces(request, most=self._intake.settings.max_batch_bytes):
            digest.update(piece)
            rows.write(piece)
        rows.seek(0)
        return digest.hexdigest()

    async def _came_before(self, name: str, mark: str) -> bool:
        once = Once(f"batch:{name}", mark, self._intake.kept_s)
        word = await self._intake.ask(self._intake.dialer.hopper.once, once)
        if word == "other":
            raise of_idempotency_key(422, "came before with another request; give a new one")
        return word == "again"

    def _handed_in(self, rows: IO[bytes], kind: FileFormat, caller: Caller, name: str | None) -> IO[bytes]:
        text = io.TextIOWrapper(rows, encoding="utf-8", errors="surrogateescape", newline="")
        answers = _spool()
        try:
            _answer(self._outcomes(text, kind, caller, name), answers, is_over=self._intake.is_over.is_set)
        except BaseException:
            answers.close()
            raise
        finally:
            text.detach()
        answers.seek(0)
        return answers

    def _outcomes(self, text: TextIO, kind: FileFormat, caller: Caller, name: str | None) -> Iterator[Outcome]:
        # A generator, so that a list that is refused as a whole is refused where `_answer` can answer it.
        yield from import_rows(
            self._intake.dialer,
            SOURCES[kind](text),
            keys=RowKeys(name) if name else None,
            pbx=caller.only_pbx,
            allowed=caller.pbxs,
            origin=caller.origin,
        )


def _answer(outcomes: Iterator[Outcome], answers: IO[bytes], *, is_over: Callable[[], bool]) -> None:
    tally, line = Tally(), 0
    try:
        for line, outcome, _ in outcomes:
            tally.count(outcome)
            if isinstance(outcome, Ticket) and outcome.is_new:
                jobs_accepted("batch")
            answers.write(_line(line, outcome))
            if is_over():
                raise ServiceUnreachable("the intake is stopping")
    except ServiceUnreachable as error:
        done = (
            f"the rows up to line {line} were handed in ({tally}), those behind it "
            f"{'were not' if error.nothing_done else 'perhaps'}"
            if line
            else "nothing was handed in"
            if error.nothing_done
            else "some rows were perhaps handed in"
        )
        again = "Send the batch again: rows with a key, and all under an Idempotency-Key, are handed in once"
        raise unavailable(f"{error}; {done}. {again}") from None
    except InputRefused as refused:
        raise Problem(400, str(refused)) from None
    counts = {"added": tally.added, "already_there": tally.already_there, "rejected": tally.rejected}
    answers.write(json.dumps({"summary": counts}).encode() + b"\n")


def _line(line: int, outcome: Ticket | Refusal) -> bytes:
    if isinstance(outcome, Ticket):
        told = {"line": line, "job_id": outcome.id, "state": outcome.state, "is_new": outcome.is_new}
    else:
        told = {"line": line, "problems": list(outcome.problems)}
    return json.dumps(told).encode() + b"\n"


def _spool() -> IO[bytes]:
    return SpooledTemporaryFile(_IN_MEMORY)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(_PIECE):
            yield part
