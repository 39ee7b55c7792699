"""Random lives of jobs against the real server: whatever happens in whatever order, the promises hold."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ops.embedded_redis import EmbeddedRedis
from tests.integration.hopper.stage import Stage, in_s, keys_of, leaks
from worker.errors import KeyConflict
from worker.hopper import Ended, Go, Hopper, Login, Token, connect
from worker.jobs import JobState
from worker.settings import TimeLimits

# Short enough for claims to die and messages to be lost within a few steps.
TINY = TimeLimits(
    attempt_deadline_s=0.01, claim_lease_s=0.02, claim_dead_s=0.04, release_ttl_s=0.03, visibility_timeout_s=60
)
PBXS: dict[str, dict[str, Any]] = {
    "a": {"max_open_calls": 2, "open_call_s": 0.03, "extension_rest_s": 0.02},
    "b": {"max_open_calls": 3, "calls_per_second": 300, "burst": 2},
    "c": {"max_open_calls": 1, "open_call_s": 0.01},
}
EXTENSIONS = ["1", "2", "3"]
FAR_S = 3600.0
# Rounds of sweep, release, claim and finish within which everything that can end has ended.
MOST_ROUNDS = 600

picks = st.integers(0, 10_000)


@dataclass
class Attempt:
    """One claim that was granted, and whether its holder has given it up."""

    job_id: str
    nonce: str
    claim: Go
    given_up: bool = False


@dataclass
class Life:
    """What this test knows of one job by itself."""

    pbx: str
    extid: str
    grants: int = 0
    given_back: int = 0
    holder: Attempt | None = None
    final: str | None = None
    numbers: Counter[int] = field(default_factory=Counter)


class Lives(RuleBasedStateMachine):
    """Pacer, workers, sweeper and operator in one, in any order; no draw depends on the clock or on an answer."""

    server: EmbeddedRedis

    def __init__(self) -> None:
        super().__init__()
        self.namespace = f"m{uuid.uuid4().hex[:12]}"
        self.client = connect(self.server.url)
        hopper = Hopper(self.client, namespace=self.namespace, retain_s=600, limits=TINY)
        self.stage = Stage(hopper, queue=f"{self.namespace}.dial")
        self.hopper = hopper
        self.lives: dict[str, Life] = {}
        self.messages: list[str] = []
        self.attempts: list[Attempt] = []
        self.late: set[str] = set()
        self.nonces = 0
        self.most_lines = {name: limits["max_open_calls"] for name, limits in PBXS.items()}

    @initialize()
    def open(self) -> None:
        for name in ("a", "b"):  # nobody knows "c" yet
            self.stage.open_pbx(name, **PBXS[name])

    # --- helpers ---------------------------------------------------------------------------------------------

    def twice(self, step: Callable[[], Any], *, same_answer: bool = True) -> Any:
        """Run one step, then again with the same arguments: nothing may have changed, and it says the same."""
        first = step()
        before = self.stage.snapshot()
        second = step()
        assert self.stage.snapshot() == before, "the repeat changed something"
        if same_answer:
            assert second == first
        return first

    def a_job(self, pick: int) -> str | None:
        return list(self.lives)[pick % len(self.lives)] if self.lives else None

    def an_attempt(self, pick: int) -> Attempt | None:
        # Young ones more often: of the old ones most are over.
        return self.attempts[-1 - (pick % min(len(self.attempts), 6))] if self.attempts else None

    # --- producers -------------------------------------------------------------------------------------------

    @rule(
        pbx=st.sampled_from(list(PBXS)),
        extids=st.lists(st.sampled_from(EXTENSIONS), min_size=1, max_size=3),
        priority=st.sampled_from(["urgent", "normal", "bulk"]),
        wait_s=st.sampled_from([None, None, None, 0.005, 0.02, FAR_S]),
        life_s=st.sampled_from([None, None, None, -1.0, 0.01, 0.05, 2 * FAR_S]),
    )
    def put(self, pbx: str, extids: list[str], priority: str, wait_s: float | None, life_s: float | None) -> None:
        fields: dict[str, Any] = {"priority": priority}
        if wait_s is not None:
            fields["not_before"] = in_s(wait_s)
        if life_s is not None:
            fields["expires_at"] = in_s(life_s if wait_s is None else wait_s + abs(life_s))
        for extid, job_id in zip(extids, self.stage.put_each(extids, pbx=pbx, **fields), strict=True):
            self.lives[job_id] = Life(pbx, extid)

    @rule(key=st.sampled_from("klm"), extid=st.sampled_from(EXTENSIONS), outto=st.sampled_from(["7", "8"]))
    def put_with_key(self, key: str, extid: str, outto: str) -> None:
        def put() -> str | None:
            try:
                return self.stage.put(extid, pbx="a", key=key, outto=outto)
            except KeyConflict:
                return None

        job_id = self.twice(put)
        if job_id is not None:
            self.lives.setdefault(job_id, Life("a", extid))
            assert self.lives[job_id].extid == extid

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if job_id := self.a_job(pick):
            self.twice(lambda: self.hopper.cancel(job_id))

    @rule(name=st.sampled_from(["a", "a", "b", "c", "*"]), resume=st.booleans())
    def pause_or_resume(self, name: str, resume: bool) -> None:
        step = self.hopper.resume if resume else self.hopper.pause
        self.twice(lambda: step(name), same_answer=False)

    # --- pacer and workers -----------------------------------------------------------------------------------

    @rule(most=st.integers(1, 10), most_released=st.integers(1, 8))
    def release(self, most: int, most_released: int) -> None:
        out = int(self.client.zcard(f"{self.namespace}:released"))
        new = self.stage.release(most, most_released=most_released)
        assert len(new) <= max(0, min(most, most_released - out))
        self.messages += new

    @rule()
    def release_what_may_go(self) -> None:
        self.messages += self.stage.release()

    @rule(
        choices=st.lists(picks, min_size=1, max_size=4),
        keep=st.booleans(),
        slot_wait_s=st.sampled_from([0, 0.5]),
    )
    def claim(self, choices: list[int], keep: bool, slot_wait_s: float) -> None:
        """Messages come to slots; kept, they come once more."""
        for pick in choices:
            if self.messages:
                index = len(self.messages) - 1 - pick % min(len(self.messages), 6)
                self.claim_job(self.messages[index] if keep else self.messages.pop(index), slot_wait_s)

    @rule(pick=picks)
    def claim_without_a_message(self, pick: int) -> None:
        if job_id := self.a_job(pick):
            self.claim_job(job_id, 0)

    def claim_job(self, job_id: str, slot_wait_s: float = 0) -> Attempt | None:
        self.nonces += 1
        nonce, life = f"n{self.nonces}", self.lives[job_id]
        claim = self.hopper.claim(job_id, nonce, slot_wait_s=slot_wait_s)
        if isinstance(claim, Ended):
            assert self.hopper.result(job_id).state is claim.state  # type: ignore[union-attr]
        if not isinstance(claim, Go):
            return None
        assert life.final is None, f"a job that was {life.final} rings"
        assert life.holder is None, "it rings twice: the former claim was not given up"
        life.grants += 1
        assert claim.attempts == life.grants - life.given_back
        life.numbers[claim.attempts] += 1
        assert life.numbers[claim.attempts] <= 1 + life.given_back
        life.holder = Attempt(job_id, nonce, claim)
        self.attempts.append(life.holder)

        before = self.stage.snapshot()
        again = self.hopper.claim(job_id, nonce, slot_wait_s=slot_wait_s)
        assert isinstance(again, Go), "the same claim again gets the same answer"
        assert again.attempts == claim.attempts
        assert self.stage.snapshot() == before
        return life.holder

    @rule(pick=picks, state=st.sampled_from([JobState.PLACED, JobState.FAILED, JobState.UNKNOWN]))
    def finish(self, pick: int, state: JobState) -> None:
        """The holder says what came of it, in time or long after; or it never does, and is dead."""
        if attempt := self.an_attempt(pick):
            self.finish_attempt(attempt, state)

    def finish_attempt(self, attempt: Attempt, state: JobState) -> None:
        lease = self.stage.score(f"lines:{attempt.claim.pbx}", attempt.job_id)
        if lease is None or lease <= self.hopper.now() + 0.02:
            self.late.add(attempt.job_id)  # evidence of a call whose line was given away: the truth counts
        self.twice(lambda: self.stage.finish(attempt.job_id, attempt.nonce, attempt.claim, state))

    @rule(
        pick=picks,
        delay_s=st.sampled_from([0, 0.005, 0.02]),
        free=st.booleans(),
        in_slot=st.booleans(),
        rest_s=st.sampled_from([0, 0, 0.01]),
    )
    def park(self, pick: int, delay_s: float, free: bool, in_slot: bool, rest_s: float) -> None:
        if not (attempt := self.an_attempt(pick)):
            return

        def park() -> bool:
            return self.hopper.park(
                attempt.job_id, attempt.nonce, delay_s=delay_s, free=free, in_slot=in_slot, rest_s=rest_s
            )

        was = self.hopper.record(attempt.job_id)
        parked = self.twice(park)
        life = self.lives[attempt.job_id]
        if parked and not attempt.given_up:
            assert was["state"] in ("claimed", "unknown")
            attempt.given_up, life.holder, life.final = True, None, None
            life.given_back += free
            if in_slot:
                self.messages.append(attempt.job_id)

    @rule(pick=picks, delay_s=st.sampled_from([0, 0.01]))
    def hand_back(self, pick: int, delay_s: float) -> None:
        if job_id := self.a_job(pick):
            self.twice(lambda: self.hopper.hand_back(job_id, delay_s=delay_s), same_answer=False)

    # --- sweeper, operator, time -----------------------------------------------------------------------------

    @rule(most=st.sampled_from([1, 200]))
    def sweep(self, most: int) -> None:
        undelivered = self.stage.sweep(most=most)
        self.hopper.delivered(list(self.hopper.results(undelivered)))

    @rule(what=st.sampled_from(["know c", "close a", "close b", "lose token", "log in", "forget scripts"]))
    def something_else_happens(self, what: str) -> None:
        match what.split():
            case "know", name:
                self.stage.open_pbx(name, **PBXS[name])
            case "close", name:
                self.hopper.close(name, base_s=0.005, cap_s=0.02, reason="down")
            case "lose", _:
                self.lose_the_token()
            case "log", _:
                self.log_in_if_it_is_our_turn("a")
            case _:
                self.client.script_flush()

    def lose_the_token(self) -> None:
        turn = self.hopper.login_turn("a", refused=-1, nonce="x", lease_s=0.01, spacing_s=0)
        if isinstance(turn, Token):
            self.hopper.login_turn("a", refused=turn.generation, nonce="y", lease_s=0.01, spacing_s=0)

    def log_in_if_it_is_our_turn(self, name: str) -> None:
        turn = self.hopper.login_turn(name, refused=-1, nonce="z", lease_s=30, spacing_s=0)
        if isinstance(turn, Login):
            self.hopper.login_done(name, "z", token="token")

    @rule(seconds=st.sampled_from([0.005, 0.03]))
    def time_passes(self, seconds: float) -> None:
        time.sleep(seconds)

    # --- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def promises_hold(self) -> None:
        Look(self).all()

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            if keys := keys_of(self.client, self.namespace):
                self.client.delete(*keys)
            self.client.close()

    def everything_ends(self) -> None:
        """Nothing is stranded: with all obstacles gone, every job comes to an end by itself."""
        roll = random.Random(7)
        for name in PBXS:
            self.stage.open_pbx(name, logged_in=False)
            self.most_lines[name] = 1000
        self.hopper.resume()
        for job_id in self.lives:  # those of tomorrow would end tomorrow
            if float(self.hopper.record(job_id).get("not_before", 0)) > self.hopper.now() + 60:
                self.hopper.cancel(job_id)
        for _ in range(MOST_ROUNDS):
            self.hopper.delivered(list(self.hopper.results(self.stage.sweep())))
            for name in PBXS:
                self.log_in_if_it_is_our_turn(name)
            for job_id in self.stage.release():
                if (attempt := self.claim_job(job_id)) and roll.random() < 0.95:
                    self.finish_attempt(attempt, roll.choice([JobState.PLACED, JobState.FAILED]))
            Look(self).all()
            if all(life.final for life in self.lives.values()):
                break
            time.sleep(0.002)
        stranded = {job_id: self.stage.state(job_id) for job_id, life in self.lives.items() if not life.final}
        assert stranded == {}, f"after {MOST_ROUNDS} rounds"
        assert leaks(self.client, self.namespace) == []


class Look:
    """One look at every key of the namespace, compared with what must hold."""

    def __init__(self, machine: Lives) -> None:
        self.machine = machine
        self.prefix = f"{machine.namespace}:"
        with machine.client.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.keys(f"{self.prefix}*")
            clock, names = pipe.execute()
            kinds = {name: self.kind(name) for name in names}
            for name, kind in kinds.items():
                self.read(pipe, name, kind)
            for job_id in machine.lives:
                pipe.ttl(f"{self.prefix}job:{job_id}")
            pipe.time()
            *values, clock = pipe.execute()
        self.now = clock[0] + clock[1] / 1e6
        self.ttls = dict(zip(machine.lives, values[len(names) :], strict=True))
        self.hashes: dict[str, dict[str, str]] = {}
        self.zsets: dict[str, dict[str, float]] = {}
        self.paused: set[str] = set()
        for name, value in zip(names, values, strict=False):
            short = name.removeprefix(self.prefix)
            if kinds[name] == "hash":
                self.hashes[short] = value
            elif kinds[name] == "zset":
                self.zsets[short] = dict(value)
            elif short == "paused":
                self.paused = value

    def read(self, pipe: "redis.client.Pipeline", name: str, kind: str) -> None:
        match kind:
            case "hash":
                pipe.hgetall(name)
            case "zset":
                pipe.zrange(name, 0, -1, withscores=True)
            case "set":
                pipe.smembers(name)
            case _:
                pipe.type(name)

    def kind(self, name: str) -> str:
        first = name.removeprefix(self.prefix).split(":")[0]
        if first in ("job", "pbx", "token", "workers"):
            return "hash"
        if first in ("seq", "wake", "starved", "sweeping"):
            return "other"
        return "set" if first == "paused" else "zset"

    def zset(self, name: str) -> dict[str, float]:
        return self.zsets.get(name, {})

    def all(self) -> None:
        for job_id, life in self.machine.lives.items():
            self.one_job(job_id, life)
        for name in PBXS:
            self.lines(name)
            self.round(name)
        self.no_strangers()

    def one_job(self, job_id: str, life: Life) -> None:
        record = self.hashes[f"job:{job_id}"]
        state, lane, later = record["state"], f"lane:{life.pbx}:{life.extid}", f"later:{life.pbx}"
        flight = ("lane:", "later:", "released", "claimed")
        where = {name for name, members in self.zsets.items() if name.startswith(flight) and job_id in members}
        final = JobState(state).is_final
        match state:
            case "waiting":
                assert where in ({lane}, {later}), (state, where)
            case "released":
                assert where == {"released", f"released:{life.pbx}"}, (state, where)
            case "claimed":
                assert where == {"claimed"}, (state, where)
            case _:
                assert where == set(), (state, where)
        assert (job_id in self.zset("expiry")) == (not final and "expires_at" in record), state
        assert (job_id in self.zset("ended")) == final, state
        assert (self.ttls[job_id] > 0) == final, state
        assert final or job_id not in self.zset("outbox"), state
        if final:
            assert self.zset("ended")[job_id] == pytest.approx(float(record["finished_at"]), abs=1e-6)
        attempts = int(record.get("attempts", 0))
        assert 0 <= attempts <= life.grants
        assert attempts == life.grants - life.given_back
        if life.final not in (None, "unknown"):
            assert state == life.final, "a final state never changes"
        if life.final == "unknown":
            assert final, "an unknown one leaves its state by evidence only"
        life.final = state if final else None

    def lines(self, pbx: str) -> None:
        late = self.machine.late
        held = {job_id for job_id, until in self.zset(f"lines:{pbx}").items() if until > self.now}
        assert len(held - late) <= self.machine.most_lines[pbx], "more lines than the PBX has"
        by_extension = Counter(self.machine.lives[job_id].extid for job_id in held - late)
        assert not by_extension or max(by_extension.values()) == 1, "two calls at once on one extension"
        for job_id in held - late:
            extid = self.machine.lives[job_id].extid
            lease = self.zset(f"exts:{pbx}").get(extid, 0)
            assert lease >= self.zset(f"lines:{pbx}")[job_id] - 1e-5, "the extension is held as long as its line"

    def round(self, pbx: str) -> None:
        rings = [set(self.zset(f"ring:{pbx}:{rank}")) for rank in range(3)]
        lanes = {
            name.rsplit(":", 1)[1]: members
            for name, members in self.zsets.items()
            if name.startswith(f"lane:{pbx}:") and members
        }
        assert set().union(*rings) == set(lanes), "every lane with jobs is in a ring, and no other"
        for extid, members in lanes.items():
            rank = int(min(members.values()) // 1e13)
            assert [extid in ring for ring in rings] == [other == rank for other in range(3)]
            free_at = self.zset(f"exts:{pbx}").get(extid, 0)
            assert self.zset(f"ring:{pbx}:{rank}")[extid] >= free_at, "a held extension is not offered"
        if (lanes or self.zset(f"later:{pbx}")) and pbx not in self.paused:
            assert pbx in self.zset("pbxs"), "the pacer would never come by"

    def no_strangers(self) -> None:
        for name in self.zsets:
            if name.startswith(("lane:", "later:", "released", "claimed", "expiry", "ended", "outbox", "lines:")):
                assert set(self.zsets[name]) <= set(self.machine.lives), name


def test_no_order_of_events_loses_a_job_or_rings_twice(redis_server: EmbeddedRedis) -> None:
    class OnThisServer(Lives):
        server = redis_server

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=20,
            stateful_step_count=50,
            deadline=None,
            database=None,
            print_blob=True,
            # Shrinking takes minutes, for each try waits on the real clock: add Phase.shrink when you hunt.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
