"""The short moves the hopper's tests share, and what may stay in its key space without a TTL."""

import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import redis

from tests.conftest import pbx_settings
from tests.integration import clock
from worker.hopper import ApiKey, Claim, Doubted, Go, Hopper, Login, LookTurn, Token
from worker.jobs import DialJob, DialResult, Doubt, JobState
from worker.settings import BreakerSettings, LookSettings, TimeLimits

# The product's order of time limits, some hundred times faster.
QUICK = TimeLimits(
    attempt_deadline_s=0.05, claim_lease_s=0.1, claim_dead_s=0.2, release_ttl_s=0.2, visibility_timeout_s=60
)
QUICK_LOOKS = LookSettings(every_s=0.05, quiet_s=0.05, within_s=0.1, at_most_s=0.2)
# Only what has gone wrong takes so long, on a busy machine too.
GENEROUS_S = 60.0
API_KEY = ApiKey("k1", "crm", ("enqueue", "read"), ("hq",), requests=100, window_s=10)
T = TypeVar("T")

# Keys that never expire by design, as the part behind the namespace, each with its reason.
KEPT = {
    r":seq": "one counter; starting again at 1 would reorder lanes",
    r":pbx:[^:]+": "one per PBX in the settings: limits, permit clock, block",
    r":token:[^:]+": "one per PBX in the settings: the shared login, which ends at the PBX",
    r":pbxs": "one entry per PBX: the pacer's round, emptied by the pacer",
    r":paused": "a pause holds until a person lifts it, across restarts",
    r":pauses": "the authors of pauses, and the paused extensions; each goes with its pause",
    r":audit": "a stream of the last 10,000 acts or so of operators",
    r":wake": "at most one item",
    r":guard": "one hash: what the workers know of Redis's clock",
    r":settings": "one entry per worker; heartbeats remove those of the dead",
    r":workers": "one entry per worker; heartbeats remove the dead",
    r":arrivals": "one entry per record; goes with its entry in ended",
    r":apikey:[^:]+": "an API key is good until it is revoked, and listed for ever",
    r":apikeys": "the names of the API keys",
    r":indexed": "one entry per name of metadata in the settings",
    r":index:.+:[0-9]+": "four bytes per job; a sweep drops a block when none of its jobs has a record any more",
    r":index_tidied": "one number",
    r":ended": "one entry per ended job; each sweep removes those older than retain_s",
    r":outbox": "results that no backend has yet; losing them would lose results",
    r":lines:[^:]+": "at most max_open_calls leases; the next look removes lapsed ones",
    r":known": "the names of the PBXs in the settings",
    r":looks": "one entry per PBX with a doubt; the next look removes it when there is none",
    r":exts:[^:]+": "one lease per extension of the PBX, lapsed or not",
    r"\.dial": "Celery's queue; Celery takes its messages out",
    r"\.webhooks": "the same of deliveries",
    r":(due|flying):[^:]+(:[^:]+)?": "deliveries on their way; the courier gives them up in time",
    r":(trials|targets)": "one entry per delivery in flight, one per target with deliveries",
    r":target:[^:]+(:[^:]+)?": "one per endpoint in the settings: how it fares",
    r":endpoints": "the names of the endpoints in the settings",
    r":couriers": "one entry per process that delivers; dispatching removes the dead",
    r":courier_wake": "at most one item",
}
# Keys that hold jobs: they may stay as long as every job in them is alive.
HOLDING = r":(lane:[^:]+:[^:]+|waits:[^:]+:[012]|later:[^:]+|released(:[^:]+)?|doubts:[^:]+|claimed|expiry)"
RINGS = r":ring:[^:]+:[012]"


def keys_of(client: "redis.Redis", namespace: str) -> list[str]:
    """Every key of one namespace, Celery's queue included."""
    return sorted(client.scan_iter(match=f"{namespace}*", count=1000))


def alive_in(client: "redis.Redis", namespace: str) -> set[str]:
    """Ids of the jobs whose life is not over."""
    prefix = f"{namespace}:job:"
    ids = [key.removeprefix(prefix) for key in keys_of(client, namespace) if key.startswith(prefix)]
    with client.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hget(prefix + job_id, "state")
        states = pipe.execute(raise_on_error=False)
    living = [state for state in JobState if not state.is_final]
    return {job_id for job_id, state in zip(ids, states, strict=True) if state in living}


def leaks(client: "redis.Redis", namespace: str) -> list[str]:
    """Return the keys that will stay for ever although nothing needs them."""
    keys, alive = keys_of(client, namespace), alive_in(client, namespace)
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.ttl(key)
        ttls = pipe.execute()
    forever = [key.removeprefix(namespace) for key, ttl in zip(keys, ttls, strict=True) if ttl == -1]
    return [name for name in forever if not is_needed(client, namespace, name, alive)]


def is_needed(client: "redis.Redis", namespace: str, name: str, alive: set[str]) -> bool:
    if any(re.fullmatch(kept, name) for kept in KEPT):
        return True
    if name.startswith(":delivery:"):
        return is_on_its_way(client, namespace, name.removeprefix(":delivery:"))
    if name.startswith(":job:"):
        return name.removeprefix(":job:") in alive
    if re.fullmatch(HOLDING, name):
        return set(client.zrange(namespace + name, 0, -1)) <= alive
    if re.fullmatch(RINGS, name):
        pbx = name.split(":")[2]
        lanes = [f"{namespace}:lane:{pbx}:{extid}" for extid in client.zrange(namespace + name, 0, -1)]
        return bool(client.exists(*lanes) == len(lanes))
    return False


def is_on_its_way(client: "redis.Redis", namespace: str, delivery_id: str) -> bool:
    target = delivery_id.split("_", 2)[2]
    lists = (f"{namespace}:{name}:{target}" for name in ("due", "flying"))
    return any(client.zscore(name, delivery_id) is not None for name in lists)


class Stage:
    """
    A hopper whose PBX `hq` is known and logged in, and the moves of a job in short.

    Nothing here knows how the hopper works: these are the calls that pacer and workers make.
    """

    def __init__(self, hopper: Hopper, *, queue: str) -> None:
        self.hopper = hopper
        self.queue = queue

    def open_pbx(self, name: str = "hq", *, logged_in: bool = True, **limits: object) -> None:
        self.hopper.register(name, pbx_settings(**limits))
        if logged_in:
            self.log_in(name)

    def log_in(self, name: str = "hq", token: str = "token-1") -> int:
        turn = self.hopper.login_turn(name, refused=-1, nonce="first", lease_s=30, spacing_s=0)
        if isinstance(turn, Token):
            return turn.generation
        assert isinstance(turn, Login)
        return self.hopper.login_done(name, "first", token=token)

    def put(self, extid: str = "1001", *, pbx: str = "hq", **fields: object) -> str:
        return self.hopper.put(job(extid, pbx=pbx, **fields)).id

    def put_each(self, extids: list[str], *, pbx: str = "hq", **fields: object) -> list[str]:
        receipts = self.hopper.put_many([job(extid, pbx=pbx, **fields) for extid in extids])
        return [receipt.id for receipt in receipts]  # type: ignore[union-attr]

    def release(self, most: int = 100, *, most_released: int = 10_000, lookahead_s: float = 0.1) -> list[str]:
        """Release, and take the messages from the queue as a worker would: ids in the order of their release."""
        count, self.sleep_s = self.hopper.release(
            self.queue, MESSAGE, most=most, most_released=most_released, lookahead_s=lookahead_s
        )
        messages = [json.loads(self.hopper.client.rpop(self.queue)) for _ in range(count)]
        assert self.hopper.client.llen(self.queue) == 0, "one message for each job released, and no more"
        return [message["id"] for message in messages]

    def claim(self, job_id: str, nonce: str | None = None, *, slot_wait_s: float = 0) -> Claim:
        return self.hopper.claim(job_id, nonce or uuid.uuid4().hex, slot_wait_s=slot_wait_s)

    def go(self, job_id: str, nonce: str) -> Go:
        claim = self.claim(job_id, nonce)
        assert isinstance(claim, Go), claim
        return claim

    def claimed(self, extid: str = "1001", *, nonce: str = "n1", **fields: object) -> tuple[str, Go]:
        """Bring one new job, alone in the hopper, as far as its claim."""
        job_id = self.put(extid, **fields)
        assert self.release() == [job_id]
        return job_id, self.go(job_id, nonce)

    def doubted(
        self, extid: str = "1001", *, nonce: str = "n1", doubt: Doubt = Doubt.LOST_REPLY, **fields: object
    ) -> tuple[str, Go]:
        """Bring one new job as far as its claim, whose holder then cannot say whether it rang."""
        job_id, claim = self.claimed(extid, nonce=nonce, **fields)
        assert self.hopper.doubt(job_id, nonce, doubt, errno="no_reply", error="the reply was lost")
        return job_id, claim

    def orphaned(self, extid: str = "1001", *, nonce: str = "n1", **fields: object) -> tuple[str, Go]:
        """Bring one new job as far as its claim, whose holder then dies, and have the sweeper see it."""
        job_id, claim = self.claimed(extid, nonce=nonce, **fields)
        assert eventually(lambda: self.sweep() == [] and self.is_in_doubt(job_id))
        return job_id, claim

    def unknown(self, extid: str = "1001", *, nonce: str = "n1", **fields: object) -> tuple[str, Go]:
        """Bring one new job to the end that nobody wants: no look could tell what became of it."""
        job_id, claim = self.doubted(extid, nonce=nonce, **fields)
        [job] = [job for job in self.look().jobs if job.id == job_id]
        self.carry_out(job, JobState.UNKNOWN)
        return job_id, claim

    def look(self, *, lease_s: float = 60, most: int = 100) -> LookTurn:
        """Wait for the turn to look at whatever PBX is next, and take it."""
        turn = eventually(lambda: self.look_turn(lease_s=lease_s, most=most))
        assert turn is not None, "nobody's turn"
        return turn

    def look_turn(self, *, lease_s: float = 60, most: int = 100) -> LookTurn | None:
        """Take the turn to look if there is one now."""
        turn = self.hopper.look_turn(lease_s=lease_s, most=most)
        return turn if isinstance(turn, LookTurn) else None

    def carry_out(self, job: Doubted, state: JobState, *, nothing_runs: bool = False) -> DialResult | None:
        """End a doubted job as its looker does."""
        facts = {"outboundid": "7.7"} if state is JobState.PLACED else {"errno": job.errno, "error": job.error}
        finished = self.hopper.finish(
            job.id, job.nonce, state, job, answered=False, nothing_runs=nothing_runs, **facts
        )
        return finished and finished.result

    def is_in_doubt(self, job_id: str) -> bool:
        record = self.hopper.record(job_id)
        return record.get("state") == "claimed" and "doubt" in record

    def unreachable(
        self,
        pbx: str = "hq",
        *,
        failures: int = 1,
        base_s: float = 60,
        cap_s: float = 60,
        by: str = "x",
        **how: Any,
    ) -> float | None:
        """Find a PBX down, with a breaker that opens after so many failures."""
        breaker = BreakerSettings(failures=failures, base_s=base_s, cap_s=cap_s, dial_cap_s=10 * cap_s)
        hopper = Hopper(self.hopper.client, namespace=self.hopper.keys.namespace, retain_s=600, breaker=breaker)
        return hopper.unreachable(pbx, reason="down", by=by, **how)

    def finish(self, job_id: str, nonce: str, claim: Go, state: JobState = JobState.PLACED) -> DialResult | None:
        facts = {"callid": "1.1"} if state is JobState.PLACED else {"errno": "10006", "error": "no such number"}
        finished = self.hopper.finish(job_id, nonce, state, claim, **facts)
        return finished and finished.result

    def sweep(self, *, undelivered_s: float = 0, most: int = 200) -> list[str]:
        """Sweep now, whoever swept before."""
        self.hopper.client.delete(f"{self.hopper.keys.namespace}:sweeping")
        found = self.hopper.sweep(
            interval_s=0.001,
            undelivered_s=undelivered_s,
            dead_errno="worker_lost",
            dead_error="the worker vanished",
            most=most,
        )
        assert found is not None
        return found

    def state(self, job_id: str) -> str | None:
        return self.hopper.record(job_id).get("state")

    def score(self, name: str, member: str) -> float | None:
        score: float | None = self.hopper.client.zscore(f"{self.hopper.keys.namespace}:{name}", member)
        return score

    def snapshot(self) -> dict[str, object]:
        """Everything the hopper holds, but for the sweepers' turn, which lapses by itself."""
        names = [
            name for name in keys_of(self.hopper.client, self.hopper.keys.namespace) if name[-9:] != ":sweeping"
        ]
        with self.hopper.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name)
            for name, kind in zip(names, pipe.execute(), strict=True):
                read_all(pipe, name, kind)
            return dict(zip(names, pipe.execute(), strict=True))


def read_all(pipe: "redis.client.Pipeline", name: str, kind: str) -> None:
    """Ask for the whole value of a key of this kind."""
    match kind:
        case "hash":
            pipe.hgetall(name)
        case "zset":
            pipe.zrange(name, 0, -1, withscores=True)
        case "set":
            pipe.smembers(name)
        case "stream":
            pipe.xrange(name)
        case "list":
            pipe.lrange(name, 0, -1)
        case _:
            pipe.get(name)


MESSAGE = json.dumps({"id": "@ID@", "tag": "@TAG@", "body": '[["@ID@"], {}]'})


def job(extid: str = "1001", *, pbx: str = "hq", outto: str = "41000", **fields: object) -> DialJob:
    return DialJob.parse({"extid": extid, "outto": outto, "pbx": pbx} | fields)


def in_s(seconds: float) -> datetime:
    """A time so many seconds from now."""
    return datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=seconds)


def eventually(look: Callable[[], T]) -> T:
    """Look until there is something to see, while time passes; returns the last look, when too much has passed."""
    deadline = time.monotonic() + GENEROUS_S
    while not (seen := look()) and time.monotonic() < deadline:
        clock.advance(0.005)
        time.sleep(0.001)
    return seen
