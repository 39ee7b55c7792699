"""The one door into the hopper: every producer, whatever its form, goes through `Dialer`."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Self

import redis

from producers.actor import login_name
from producers.masking import masked
from producers.numbers import NumberRefused, dialable
from worker import tracing
from worker.errors import AlreadyExpired, InputRefused, KeyConflict, ServiceUnreachable
from worker.fields import MOST_METADATA, digits_given_as_int
from worker.hopper import Hopper, Order, Receipt
from worker.jobs import PBX_NAME, DialJob, DialResult, JobState
from worker.redis_tls import tls_problem
from worker.secret_reader import Role
from worker.settings import Current, NumberRules, Settings

# Rows streamed through one `put_many`: at most so many refusals are held back to keep the order.
BATCH = 2000
_NOTHING_STORED = "Nothing was stored"
_REFUSED_WHOLE = (
    redis.AuthenticationError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.MasterDownError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.MaxConnectionsError,
)
LONGEST_LIFE_S = 366 * 86400.0
_MOST_NAMED = 20

Row = Mapping[str, Any] | DialJob | Order | InputRefused


@dataclass(frozen=True, slots=True)
class Ticket:
    """
    What a producer gets for a job: its `id`, its `state` when it was handed in, and whether it `is_new`.

    A job whose key came before is not new, and its state may be any.
    """

    id: str
    state: JobState
    is_new: bool
    _dialer: "Dialer" = field(repr=False, compare=False)

    def result(self, *, timeout_s: float) -> DialResult:
        """
        Wait for the job's end and return what came of it, placed or not: look at `.state`.

        Celery's `AsyncResult(ticket.id).get()` is the one that raises for a call that was not placed.

        Args:
            timeout_s: How long to wait at most, 0 or more; `math.inf` for ever.

        Raises:
            TimeoutError: If the job has not ended by then. It goes on; ask again.
            InputRefused: If the job ended so long ago that its record is gone.
            ServiceUnreachable: If Redis does not answer.
        """
        return self._dialer.wait_for_end(self.id, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A row that did not become a job.

    `index` counts the rows given, from 0. `problems` holds one sentence for each thing wrong. `is_conflict`: the
    row is in order, but its key belongs to a job with other contents.
    """

    index: int
    problems: tuple[str, ...]
    is_conflict: bool = False

    def __str__(self) -> str:
        return "; ".join(self.problems)


class Dialer:
    """
    Hands dial jobs to the hopper. Making one sends nothing; threads may share it.

    Args:
        settings: Which PBXs there are, and where Redis is.
        hopper: Where the jobs go.
    """

    def __init__(self, settings: Settings | Current, hopper: Hopper) -> None:
        self.current = Current.of(settings)
        self.hopper = hopper

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.current.settings

    @classmethod
    def from_config(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        actor: str | None = None,
        roles: frozenset[Role] = frozenset(),
    ) -> Self:
        """
        Return a dialer for a settings file.

        Args:
            path: The TOML file; None takes the one OUTDIAL_CONFIG names, else `outdial.toml` here if there is
                one, else the environment alone.
            actor: Who acts, for timelines and audits; None: the login user and host of this process.
            roles: What else this process does, by which it needs secrets; handing jobs in takes that of Redis.

        Raises:
            ConfigurationError: With one sentence for every problem at once.
        """
        settings = Settings.load(path, roles=roles)
        return cls(settings, Hopper.from_settings(settings, actor=login_name() if actor is None else actor))

    def enqueue(self, *, expires_in_s: float | None = None, **fields: Any) -> Ticket:
        """
        Hand in one job.

        With a `key` this may be repeated at will: the same key and contents give the same job back. Without one
        each call is a new job, also one repeated because Redis did not answer the first time.

        Args:
            expires_in_s: The job ends as expired if no call began so many seconds from now; above 0. May differ
                when a key comes again.
            fields: Those of `DialJob`: extid, outto, and any of autoanswer, pbx, priority, key, not_before,
                expires_at, on_unknown, metadata.

        Raises:
            InputRefused: With one sentence per wrong field; nothing was stored.
            KeyConflict: If the key belongs to a job with other contents.
            ServiceUnreachable: If Redis does not answer. Its sentence says whether the job was stored; where that
                is not certain, by which id to look for it.
        """
        relative: frozenset[str] = frozenset()
        if expires_in_s is not None:
            if problems := list(_expires_in_problems(expires_in_s, fields)):
                raise InputRefused([*problems, *_problems(self.job_for, fields)])
            # Redis's clock, because that is the one which ends the job.
            with self.reaching_redis(may_have_stored=_NOTHING_STORED):
                now = self.hopper.now()
            fields = {**fields, "expires_at": datetime.fromtimestamp(now + expires_in_s, UTC)}
            relative = frozenset({"expires_at"})
        job = self.job_for(fields)
        job_id = job.job_id()
        look = f"The job may have been stored: look with `outdial status {job_id}` before you enqueue it again"
        if job.key:
            look = "The job may have been stored: enqueue it again with the same key, and there will be one job"
        with self.reaching_redis(may_have_stored=look):
            return self._ticket(self.hopper.put(job, relative=relative, job_id=job_id))

    def enqueue_many(self, rows: Iterable[Row], *, origin: str = "") -> Iterator[Ticket | Refusal]:
        """
        Hand in any number of jobs; yields one ticket or refusal for each row, in order.

        Rows are taken while Redis stores those before, and answers come a batch behind, so memory stays the same
        for any number. Should the process die, or *rows* raise, some jobs may be stored without a ticket: give
        keys where that matters.

        Args:
            rows: Fields as a mapping, or a `DialJob`; an `Order`, which is stored as it is; or an `InputRefused`,
                for a row its source found wrong, which comes back as a refusal in its place.
            origin: Who brings them, see `worker.hopper.Order`.

        Raises:
            ServiceUnreachable: If Redis does not answer. The rows after the last ticket may be stored or not; if
                `nothing_done` is true, for Redis refused them, they are not.
        """
        numbered = enumerate(rows)
        for first in numbered:
            yield from self._stored(chain([first], islice(numbered, BATCH - 1)), origin)

    def wait_for_end(self, job_id: str, *, timeout_s: float) -> DialResult:
        """Wait for a job's end; see `Ticket.result`."""
        if not timeout_s >= 0:
            raise ValueError("timeout_s must be 0 or more")
        with self.reaching_redis():
            result = self.hopper.wait_for_end(job_id, timeout_s)
        if result is None:
            raise InputRefused([f"there is no job {job_id}; records are kept for a while after the end only"])
        if not result.state.is_final:
            raise TimeoutError(f"job {job_id} is still {result.state} after {timeout_s:g} s")
        return result

    def pbx_for(self, name: str | None) -> str:
        """
        Return the PBX a job goes to: the one it names, else `default_pbx`, else the only one there is.

        Raises:
            InputRefused: If there is no such PBX in the settings, or none to choose without a name.
        """
        chosen = name or self.default_pbx
        if chosen in self.settings.pbx:
            return chosen
        if not self.settings.pbx:
            raise InputRefused(["pbx: there is none in the settings; add a [pbx.NAME] section"])
        what = "is missing" if chosen is None else f"{chosen!r} is not in the settings"
        raise InputRefused([f"pbx: {what}; choose one of {self.pbx_names()}"])

    @contextmanager
    def reaching_redis(self, *, may_have_stored: str = "") -> Iterator[None]:
        """
        Raise ServiceUnreachable, without address or password, for any error of Redis in this block.

        Args:
            may_have_stored: For a block that stores a job: what to do if it is not certain whether it did. The
                sentence says so then, and else that nothing was stored.
        """
        try:
            yield
        except redis.RedisError as error:
            place = self.settings.redis_address.place.partition("://")[2]
            sentence = f"Redis at {place} {_complaint(error)}"
            nothing_done = is_refused_whole(error)
            if may_have_stored:
                sentence += f". {_NOTHING_STORED if nothing_done else may_have_stored}"
            unreachable = ServiceUnreachable(sentence)
            unreachable.nothing_done = nothing_done
            raise unreachable from error

    def job_for(
        self, fields: Mapping[str, Any], *, country: str | None = None, home: str | None = None
    ) -> DialJob:
        """
        Return the job that outside data ask for, its PBX named and its number as that wants it; sends nothing.

        Args:
            fields: Those of a `DialJob`; `outto` as people write numbers.
            country: That of this number if it is written nationally, as a CRM writes countries.
            home: That of numbers that bring no country, two letters; None: that of the PBX's own rules.

        Raises:
            InputRefused: With one sentence per wrong field; a `NumberRefused`, if the number is one of them.
        """
        # Half the price of naming it by a copy of the job afterwards.
        only = self.default_pbx if fields.get("pbx") is None else None
        named = fields if only is None else {**fields, "pbx": only}
        return self._with_pbx(self.said(named, country=country, home=home))

    def said(
        self,
        fields: Mapping[str, Any],
        *,
        pbx: str | None = None,
        country: str | None = None,
        home: str | None = None,
    ) -> DialJob:
        """
        Return a job with the fields that were given, and its number as the PBX wants it; sends nothing.

        Args:
            fields: Those of a `DialJob`; `outto` as people write numbers.
            pbx: Whose rules hold if the fields name none; None: as `pbx_for` chooses.
            country: As in `job_for`.
            home: As in `job_for`.

        Raises:
            InputRefused: As `job_for` does; a PBX that is not in the settings is named only with other problems.
        """
        outto = digits_given_as_int(fields.get("outto"))
        chosen = fields.get("pbx") or pbx
        try:
            if isinstance(outto, str):
                dialed = dialable(outto, self._rules(chosen), country=country, home=home)
                fields = fields if dialed == outto else {**fields, "outto": dialed}
            return parsed(fields)
        except NumberRefused as refused:
            others = [*_problems(parsed, {**fields, "outto": "1"}), *self._more_problems(fields, chosen)]
            raise NumberRefused([*others, *refused.problems], refused.code) from None
        except InputRefused as refused:
            raise InputRefused([*refused.problems, *self._more_problems(fields, chosen)]) from None

    def _more_problems(self, fields: Mapping[str, Any], pbx: object) -> list[str]:
        """Return what would be found wrong later with a job that is refused already."""
        return [*self._pbx_problems(pbx), *_expiry_problems(fields.get("expires_at"))]

    def _pbx_problems(self, name: object) -> list[str]:
        """Return what is wrong with a name that a PBX may have; any other is a problem of the field."""
        if name is not None and not (isinstance(name, str) and re.match(PBX_NAME, name)):
            return []
        return _problems(self.pbx_for, name)

    def _rules(self, pbx: object) -> NumberRules | None:
        chosen = self.settings.pbx.get(str(pbx or self.default_pbx))
        return chosen.numbers if chosen else None

    def _with_pbx(self, job: DialJob) -> DialJob:
        try:
            pbx = self.pbx_for(job.pbx)
        except InputRefused as refused:
            raise InputRefused([*refused.problems, *_expiry_problems(job.expires_at)]) from None
        return job if pbx == job.pbx else job.model_copy(update={"pbx": pbx})

    def _with_number(self, job: DialJob) -> DialJob:
        dialed = dialable(job.outto, self._rules(job.pbx))
        return job if dialed == job.outto else job.model_copy(update={"outto": dialed})

    @property
    def default_pbx(self) -> str | None:
        """The PBX of jobs that name none, if the settings leave no choice."""
        if self.settings.default_pbx is None and len(self.settings.pbx) == 1:
            return next(iter(self.settings.pbx))
        return self.settings.default_pbx

    def _checked(self, row: Row, origin: str) -> Order | InputRefused:
        try:
            if isinstance(row, DialJob):
                return Order(self._with_number(self._with_pbx(row)), origin, trace=tracing.own())
            if isinstance(row, Mapping):
                return Order(self.job_for(row), origin, trace=tracing.own())
        except InputRefused as refused:
            return refused
        if isinstance(row, Order | InputRefused):
            return row
        return InputRefused([f"a row must map field names to values, not be a {type(row).__name__}"])

    def _stored(self, rows: Iterable[tuple[int, Row]], origin: str) -> Iterator[Ticket | Refusal]:
        # Rows taken and not answered yet: why each is refused, None for one that Redis answers.
        taken: deque[tuple[int, InputRefused | None]] = deque()

        def orders() -> Iterator[Order]:
            for index, row in rows:
                order = self._checked(row, origin)
                taken.append((index, order if isinstance(order, InputRefused) else None))
                if isinstance(order, Order):
                    yield order

        answers = self.hopper.put_many(orders())
        with self.reaching_redis():
            for answer in answers:
                while (refused := taken[0][1]) is not None:
                    yield _refusal(taken.popleft()[0], refused)
                index, _ = taken.popleft()
                yield self._ticket(answer) if isinstance(answer, Receipt) else _refusal(index, answer)
        yield from (_refusal(index, refused) for index, refused in taken if refused)

    def _ticket(self, receipt: Receipt) -> Ticket:
        return Ticket(receipt.id, receipt.state, receipt.is_new, self)

    def pbx_names(self) -> str:
        """Return the names of the PBXs for a sentence, shortened if there are many."""
        names = list(self.settings.pbx)
        more = len(names) - _MOST_NAMED
        return ", ".join(names[:_MOST_NAMED]) + (f" or one of {more} more" if more > 0 else "")


def _refusal(index: int, refused: InputRefused) -> Refusal:
    return Refusal(index, tuple(refused.problems), isinstance(refused, KeyConflict))


def _problems(read: Callable[[Any], object], given: object) -> list[str]:
    """Return why *read* refuses what it is given; empty if it does not."""
    try:
        read(given)
    except InputRefused as refused:
        return refused.problems
    return []


def _expires_in_problems(seconds: float, fields: Mapping[str, Any]) -> Iterator[str]:
    if fields.get("expires_at") is not None:
        yield "expires_in_s: give either this or expires_at, not both"
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    # NaN fails both comparisons.
    if not (is_number and 0 < seconds <= LONGEST_LIFE_S):
        yield f"expires_in_s: {seconds!r} is invalid; expected seconds above 0, a year at most"


def _expiry_problems(expires_at: object) -> list[str]:
    try:
        moment = parsed({"extid": "1", "outto": "1", "expires_at": expires_at}).expires_at
    except InputRefused:
        return []  # it is among the problems already
    # Redis's clock decides for jobs that are in order otherwise; it need not be asked for one that is refused.
    return AlreadyExpired.at(moment).problems if moment and moment <= datetime.now(UTC) else []


def parsed(fields: Mapping[str, Any]) -> DialJob:
    """
    Build a job from outside data, with refusals fit to be shown.

    Raises:
        InputRefused: With one sentence per wrong field.
    """
    _refuse_floods(fields)
    for name in fields.keys() - DialJob.model_fields.keys():
        if not isinstance(name, str) or not name.isprintable():
            raise InputRefused([masked(f"{name!r}: is not a field of a dial job")])
    try:
        return DialJob.parse(fields)
    except InputRefused as refused:
        raise InputRefused([masked(problem) for problem in refused.problems]) from None


def _refuse_floods(fields: Mapping[str, Any]) -> None:
    # A sentence for each of them would be a hundred times what was sent.
    unknown = len(fields.keys() - DialJob.model_fields.keys())
    if unknown > _MOST_NAMED:
        raise InputRefused(
            [f"{unknown:,} names are no fields of a dial job; use {', '.join(DialJob.model_fields)}"]
        )
    metadata = fields.get("metadata")
    if isinstance(metadata, Mapping) and len(metadata) > MOST_METADATA:
        raise InputRefused([f"metadata: {len(metadata):,} entries are too many; give at most {MOST_METADATA}"])


def is_refused_whole(error: redis.RedisError) -> bool:
    """Return whether it is certain, by this error of one step, that the step changed nothing."""
    # These are replies, although redis-py derives some of them from ConnectionError.
    if isinstance(error, _REFUSED_WHOLE):
        return True
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        # redis-py says "connecting" only where nothing has been sent.
        return "connecting to" in str(error)
    # Steps that store a job begin with a write that changes nothing, so these come before any other.
    return str(error).startswith(("OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "BUSY"))


def _complaint(error: redis.RedisError) -> str:
    """Say what is wrong without the server's own text, which may quote what was sent."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return "refuses the log-in; check user name and password in redis_url"
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "is full and takes no jobs; give it more memory"
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return "is a read-only copy; name the primary by redis_url"
    if problem := tls_problem(error):
        return f"cannot be used: {problem}"
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return f"does not answer ({type(error).__name__}); start it, or set redis_url"
    word = re.match(r"[A-Z]{2,20}\b", str(error))
    return f"refuses ({word.group() if word else type(error).__name__}); see its log"
