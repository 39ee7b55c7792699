"""Random lives of jobs against the real server: whatever happens in whatever order, the promises hold."""

import itertools
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ops.embedded_redis import EmbeddedRedis
from tests.examples import examples
from tests.integration.hopper.stage import Stage, in_s, job, keys_of, leaks
from tests.integration.hopper.world import Call, Crash, ModelledPbx, Truth
from worker.errors import AlreadyExpired, KeyConflict
from worker.hopper import Ended, Go, Hopper, Login, Redial, Token, connect
from worker.jobs import DialResult, Doubt, JobState
from worker.pbx import Directory
from worker.reconciler import Reconciler
from worker.settings import BreakerSettings, LookSettings, RetrySettings, Settings, TimeLimits

# Short enough for claims to die and messages to be lost within a few steps.
TINY = TimeLimits(
    attempt_deadline_s=0.01, claim_lease_s=0.02, claim_dead_s=0.04, release_ttl_s=0.03, visibility_timeout_s=60
)
# Shorter than the settings allow: the machine looks when it likes.
TINY_LOOKS = LookSettings.model_construct(every_s=0.001, quiet_s=0.004, within_s=0.02, at_most_s=0.05, permits=1)
TINY_BREAKER = BreakerSettings(failures=2, base_s=0.005, cap_s=0.02)
TINY_RETRY = RetrySettings(max_attempts=3, base_s=0.001, cap_s=0.01)
PBXS: dict[str, dict[str, Any]] = {
    "a": {"max_open_calls": 2, "open_call_s": 0.03, "extension_rest_s": 0.02},
    "b": {"max_open_calls": 3, "calls_per_second": 300, "burst": 2},
    "c": {"max_open_calls": 1, "open_call_s": 0.01},
}
EXTENSIONS = ["1", "2", "3"]
FAR_S = 3600.0
# Rounds of sweep, look, release, claim and finish within which everything that can end has ended.
MOST_ROUNDS = 600
# A record without one of these is never dialed; `*` stands for all of it.
SPOILED = ["state", "pbx", "extid", "outto", "enqueued_at", "*"]

picks = st.integers(0, 10_000)
lengths = st.sampled_from([0.0, 0.02, 0.2])
truths = st.one_of(
    st.builds(Truth, st.just(True), st.just("callid"), lengths, st.booleans()),
    st.builds(Truth, st.just(False), st.just("not placed"), st.just(0.0), st.just(False)),
    st.builds(Truth, st.booleans(), st.just("nothing"), lengths, st.booleans()),
    st.builds(Truth, st.booleans(), st.just("said failed"), lengths, st.booleans()),
)


@dataclass
class Attempt:
    """One claim that was granted: what becomes of it, and what others have heard of it."""

    job_id: str
    nonce: str
    claim: Go
    truth: Truth
    worker: str
    number: int
    is_heard: bool = False


@dataclass
class Life:
    """What this test knows of one job by itself."""

    pbx: str
    extid: str
    grants: int = 0
    given_back: int = 0
    rings: int = 0
    holder: Attempt | None = None
    final: str | None = None
    may_ring_again: bool = False
    is_spoiled: bool = False
    is_anew: bool = False


class Outlet:
    """Where the looking tells its news: the machine's own notes, and at times the place where a process dies."""

    def __init__(self, machine: "Lives") -> None:
        self.machine = machine
        self.dies_after: int | None = None

    def started(self, job_id: str, claim: Go, *, received_at: float) -> None:
        """Nobody tells this here."""

    def ended(self, result: DialResult) -> None:  # noqa: ARG002
        self._live_on()

    def parked(self, job_id: str, reason: str) -> None:  # noqa: ARG002
        self.machine.lives[job_id].holder = None
        self._live_on()

    def _live_on(self) -> None:
        if self.dies_after == 0:
            self.dies_after = None
            raise Crash
        if self.dies_after is not None:
            self.dies_after -= 1


class Lives(RuleBasedStateMachine):
    """Pacer, workers, sweeper, looker and operator in one, in any order; no draw depends on the clock."""

    server: EmbeddedRedis

    def __init__(self) -> None:
        super().__init__()
        self.namespace = f"m{uuid.uuid4().hex[:12]}"
        self.client = connect(self.server.url)
        hopper = Hopper(
            self.client,
            namespace=self.namespace,
            retain_s=600,
            limits=TINY,
            looks=TINY_LOOKS,
            breaker=TINY_BREAKER,
            actor="machine",
        )
        self.stage = Stage(hopper, queue=f"{self.namespace}.dial")
        self.hopper = hopper
        self.world = {name: ModelledPbx(name, EXTENSIONS) for name in PBXS}
        self.outlet = Outlet(self)
        self.reconciler = self.make_a_reconciler()
        self.lives: dict[str, Life] = {}
        self.messages: list[str] = []
        self.attempts: list[Attempt] = []
        self.late: set[str] = set()
        self.marks = itertools.count()
        self.workers = 1
        self.most_lines = {name: limits["max_open_calls"] for name, limits in PBXS.items()}

    def make_a_reconciler(self) -> Reconciler:
        plain = Settings(redis_url=self.server.url, retry=TINY_RETRY)
        made = plain.model_copy(update={"look": TINY_LOOKS})
        return Reconciler(self.hopper, made, self.outlet, Directory(self.hopper, made, self.world))

    @initialize()
    def open(self) -> None:
        for name in ("a", "b"):  # nobody knows "c" yet
            self.stage.open_pbx(name, **PBXS[name])

    # --- helpers ---------------------------------------------------------------------------------------------

    def twice(self, step: Callable[[], Any], *, same_answer: bool = True) -> Any:
        """Run one step, then again with the same arguments: nothing may have changed, and it says the same."""
        self.note_lapsed_leases()
        first = step()
        before = self.stage.snapshot()
        second = step()
        assert self.stage.snapshot() == before, "the repeat changed something"
        if same_answer:
            assert second == first
        return first

    def note_lapsed_leases(self) -> None:
        """Who comes back after its line was given away may be one too many: then the truth counts."""
        soon = self.hopper.now() + 0.02
        for name in PBXS:
            held = dict(self.client.zrange(self.hopper.keys.lines(name), 0, -1, withscores=True))
            mine = {job_id for job_id, life in self.lives.items() if life.pbx == name and life.grants}
            self.late |= {job_id for job_id in mine if held.get(job_id, 0) <= soon}

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
        on_unknown=st.sampled_from(["hold", "hold", "redial"]),
    )
    def put(
        self,
        pbx: str,
        extids: list[str],
        priority: str,
        wait_s: float | None,
        life_s: float | None,
        on_unknown: str,
    ) -> None:
        fields: dict[str, Any] = {"priority": priority, "on_unknown": on_unknown}
        if wait_s is not None:
            fields["not_before"] = in_s(wait_s)
        if life_s is not None:
            fields["expires_at"] = in_s(life_s if wait_s is None else wait_s + abs(life_s))
        for extid in extids:
            # Each has a number of its own, so that the PBX's calls tell them apart.
            try:
                job_id = self.stage.put(extid, pbx=pbx, outto=str(50_000 + len(self.lives)), **fields)
            except AlreadyExpired:
                assert life_s is not None
                continue
            self.lives[job_id] = Life(pbx, extid, may_ring_again=on_unknown == "redial")

    @rule(key=st.sampled_from("klm"), extid=st.sampled_from(EXTENSIONS), outto=st.sampled_from("789"))
    def put_with_key(self, key: str, extid: str, outto: str) -> None:
        wish = job(extid, pbx="a", key=key, outto=f"{ord(key)}{extid}{outto}0")
        is_new = not self.client.exists(self.hopper.keys.job(wish.job_id()))

        def put() -> str | None:
            try:
                return self.hopper.put(wish).id
            except KeyConflict:
                return None

        job_id = self.twice(put)
        if is_new:
            # Where somebody deleted its record nothing is known of it, but its lane may still have its place.
            self.lives[job_id] = Life("a", extid, is_anew=job_id in self.lives)
        elif job_id is not None:
            assert self.lives[job_id].is_spoiled or self.lives[job_id].extid == extid

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if job_id := self.a_job(pick):
            self.twice(lambda: self.hopper.cancel(job_id), same_answer=not self.lives[job_id].is_spoiled)

    @rule(name=st.sampled_from(["a", "a", "b", "c", "*"]), resume=st.booleans())
    def pause_or_resume(self, name: str, resume: bool) -> None:
        step = self.hopper.resume if resume else self.hopper.pause
        self.twice(lambda: step(name), same_answer=False)

    @rule(extid=st.sampled_from(EXTENSIONS), resume=st.booleans())
    def pause_or_resume_an_extension(self, extid: str, resume: bool) -> None:
        step = self.hopper.resume if resume else self.hopper.pause
        self.twice(lambda: step("a", extid), same_answer=False)

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
        truth=truths,
        tells=st.booleans(),
    )
    def claim(self, choices: list[int], keep: bool, slot_wait_s: float, truth: Truth, tells: bool) -> None:
        """Messages come to slots; kept, they come once more."""
        for pick in choices:
            if self.messages:
                index = len(self.messages) - 1 - pick % min(len(self.messages), 6)
                job_id = self.messages[index] if keep else self.messages.pop(index)
                if (attempt := self.claim_job(job_id, truth, slot_wait_s)) and tells:
                    self.tell_the_truth(attempt, pick)

    @rule(
        pbx=st.sampled_from(["a", "b"]),
        fates=st.lists(truths, min_size=1, max_size=3),
        tells=st.booleans(),
        on_unknown=st.sampled_from(["hold", "hold", "redial"]),
    )
    def make_calls(self, pbx: str, fates: list[Truth], tells: bool, on_unknown: str) -> None:
        """New jobs go the straight way, as far as they may."""
        self.put(pbx, EXTENSIONS[: len(fates)], "urgent", None, None, on_unknown)
        for _ in range(2):  # those put off at once come again
            messages, self.messages = self.messages + self.stage.release(), []
            for number, job_id in enumerate(messages):
                if (attempt := self.claim_job(job_id, fates[number % len(fates)])) and tells:
                    self.tell_the_truth(attempt, len(self.attempts))

    @rule(extid=st.sampled_from(EXTENSIONS), truth=truths)
    def a_message_comes_late(self, extid: str, truth: Truth) -> None:
        """By then its line and its extension may be another job's."""
        self.put("a", [extid], "urgent", None, None, "hold")
        held_up = self.stage.release()
        time.sleep(0.13)  # as long as a release reserves them
        self.put("a", [extid], "urgent", None, None, "hold")
        for job_id in self.stage.release() + held_up:
            self.claim_job(job_id, truth)

    @rule(pick=picks, truth=truths)
    def claim_without_a_message(self, pick: int, truth: Truth) -> None:
        if job_id := self.a_job(pick):
            self.claim_job(job_id, truth)

    def claim_job(self, job_id: str, truth: Truth, slot_wait_s: float = 0) -> Attempt | None:
        number, worker, life = len(self.attempts), f"w{self.workers}", self.lives[job_id]

        def claim() -> object:
            return self.hopper.claim(job_id, f"n{number}", slot_wait_s=slot_wait_s, incarnation=worker)

        answer = claim()
        if isinstance(answer, Ended):
            assert self.hopper.result(job_id).state is answer.state  # type: ignore[union-attr]
        if not isinstance(answer, Go):
            return None
        assert not life.is_spoiled, "nobody can know that this is what was wanted"
        assert life.final is None, f"a job that was {life.final} rings"
        assert life.holder is None, "it rings twice: the former claim was not given up"
        life.grants += 1
        assert answer.attempts == life.grants - life.given_back
        self.late.discard(job_id)
        life.holder = Attempt(job_id, f"n{number}", answer, truth, worker, number)
        self.attempts.append(life.holder)
        if truth.rings:
            self.ring(life, life.holder)

        before = self.stage.snapshot()
        again = claim()
        assert isinstance(again, Go), "the same claim again gets the same answer"
        assert again.attempts == answer.attempts
        assert self.stage.snapshot() == before
        return life.holder

    def ring(self, life: Life, attempt: Attempt) -> None:
        life.rings += 1
        now, claim, truth = time.time(), attempt.claim, attempt.truth
        ends_at = float("inf") if truth.knows == "said failed" else now + truth.lasts_s
        call = Call(attempt.job_id, attempt.number, claim.extid, claim.outto, truth.is_answered, now, ends_at)
        self.world[claim.pbx].calls.append(call)

    @rule(pick=picks, how=picks)
    def tell(self, pick: int, how: int) -> None:
        """The holder says what it knows, in time or long after; or it never does, and is dead."""
        if attempt := self.an_attempt(pick):
            self.tell_the_truth(attempt, how)

    @rule(pick=picks)
    def the_answer_to_a_claim_was_lost(self, pick: int) -> None:
        """Asked again, perhaps much later: by then it may be nobody's to ring."""
        if attempt := self.an_attempt(pick):
            was = self.hopper.record(attempt.job_id)
            if was.get("state") == "released":
                return  # then it is a new claim, and nonces are not used twice
            claim = self.hopper.claim(attempt.job_id, attempt.nonce, slot_wait_s=0)
            if isinstance(claim, Go):
                assert self.lives[attempt.job_id].holder is attempt
                assert was["state"] == "claimed"
                assert "doubt" not in was, "it is looked at, and might be adopted or tried again"

    @rule(pick=picks, how=picks)
    def a_former_holder_speaks(self, pick: int, how: int) -> None:
        """Once more, while another has the job: its word came twice, or very late."""
        former = [each for each in self.attempts if self.lives[each.job_id].holder not in (None, each)]
        if former:
            self.tell_the_truth(former[-1 - pick % min(len(former), 6)], how)

    def tell_the_truth(self, attempt: Attempt, how: int) -> None:
        match attempt.truth.knows:
            case "callid" if how % 4 == 3:  # its end cannot be reported, and the doubt keeps the callid
                names, callid = (attempt.job_id, attempt.nonce), f"{int(time.time())}.{attempt.number}"
                self.twice(
                    lambda: self.hopper.doubt(
                        *names, Doubt.LOST_REPLY, errno="unreported", error="-", callid=callid
                    )
                )
            case "callid":
                self.finish(attempt, JobState.PLACED, callid=f"{int(time.time())}.{attempt.number}")
            case "not placed" if how % 3 == 0:
                self.finish(attempt, JobState.FAILED, errno="10006", error="no such number")
            case "not placed":
                self.park(attempt, free=how % 2 == 0, in_slot=how % 5 < 3, delay_s=[0, 0.005, 0.02][how % 7 % 3])
            case knows:
                kind = Doubt.SAID_FAILED if knows == "said failed" else Doubt.LOST_REPLY
                self.twice(
                    lambda: self.hopper.doubt(attempt.job_id, attempt.nonce, kind, errno="30001", error="lost")
                )

    def finish(self, attempt: Attempt, state: JobState, **facts: str) -> None:
        def finish() -> object:
            finished = self.hopper.finish(attempt.job_id, attempt.nonce, state, attempt.claim, **facts)
            return finished and finished.result

        if self.twice(finish) is not None:
            assert self.lives[attempt.job_id].holder is attempt, "only the last holder's word counts"
            attempt.is_heard = True

    def park(self, attempt: Attempt, *, free: bool, in_slot: bool, delay_s: float) -> None:
        def park() -> bool:
            times = {"delay_s": delay_s, "rest_s": delay_s / 2}
            parked = self.hopper.park(attempt.job_id, attempt.nonce, free=free, in_slot=in_slot, **times)
            return parked is not None

        if self.twice(park) and not attempt.is_heard:
            life = self.lives[attempt.job_id]
            attempt.is_heard, life.holder, life.final = True, None, None
            life.given_back += free
            if in_slot:
                self.messages.append(attempt.job_id)

    @rule(pick=picks, delay_s=st.sampled_from([0, 0.01]))
    def hand_back(self, pick: int, delay_s: float) -> None:
        if job_id := self.a_job(pick):
            self.twice(lambda: self.hopper.hand_back(job_id, delay_s=delay_s), same_answer=False)

    # --- the dead, and who looks after what they left -----------------------------------------------------------

    @rule(most=st.sampled_from([1, 200]))
    def sweep(self, most: int) -> None:
        self.note_lapsed_leases()
        undelivered = self.stage.sweep(most=most)
        self.hopper.delivered(list(self.hopper.results(undelivered)))

    @rule()
    def a_worker_dies_and_is_buried(self) -> None:
        """Its claims are nobody's; its successor says so, and may be told again."""
        dead, self.workers = f"w{self.workers}", self.workers + 1
        self.twice(lambda: self.hopper.bury(dead, errno="worker_lost", error="gone"), same_answer=False)

    @rule(pauses_s=st.lists(st.sampled_from([0.0, 0.005, 0.01]), max_size=3))
    def look(self, pauses_s: list[float]) -> None:
        self.look_once()
        for pause_s in pauses_s:
            time.sleep(pause_s)
            self.look_once()

    @rule(at=st.sampled_from(["before the answer", "after one job", "after two jobs", "before it tells"]))
    def look_and_die(self, at: str) -> None:
        """The looker dies somewhere between its turn and its word; its turn's lease ends."""
        if at == "before it tells":
            self.stage.look_turn(lease_s=0.005)
            return
        self.outlet.dies_after = {"after one job": 0, "after two jobs": 1}.get(at)
        for pbx in self.world.values():
            pbx.dies_at_look = at == "before the answer"
        self.look_once()
        self.outlet.dies_after = None
        for pbx in self.world.values():
            pbx.dies_at_look = False

    def look_once(self) -> None:
        self.note_lapsed_leases()
        try:
            self.reconciler.look_once()
        except Crash:
            looks = f"{self.namespace}:looks"
            ends = {name: self.hopper.now() for name, _ in self.client.zrange(looks, 0, -1, withscores=True)}
            self.client.zadd(looks, ends, xx=True)

    @rule(pick=picks, redial=st.booleans())
    def resolve(self, pick: int, redial: bool) -> None:
        """An operator asks the people who were called, and says the truth."""
        if (job_id := self.a_job(pick)) is None:
            return
        life = self.lives[job_id]
        verdict = "redial" if redial else "placed" if life.rings else "failed"
        word, _ = self.twice(lambda: self.hopper.resolve(job_id, verdict, callid="1.1"), same_answer=False)
        if word == "resolved" and redial:
            life.may_ring_again = True
            self.live_again(life)
        elif word == "resolved":
            life.final = None

    @rule(pick=picks, even_if_rung=st.booleans())
    def redial(self, pick: int, even_if_rung: bool) -> None:
        """An operator brings a job back that was not placed."""
        if (job_id := self.a_job(pick)) is None:
            return
        life, mark = self.lives[job_id], f"m{next(self.marks)}"
        request = [Redial(job_id, life.pbx)]
        [redialed] = self.twice(
            lambda: self.hopper.redial(request, mark=mark, even_if_rung=even_if_rung), same_answer=False
        )
        if redialed.word == "redialed":
            assert life.final != "placed"
            assert life.final != "unknown" or even_if_rung
            if life.final == "unknown":
                life.may_ring_again = True
            self.live_again(life)

    def live_again(self, life: Life) -> None:
        """Its attempts are counted from now."""
        life.holder, life.final, life.given_back = None, None, life.grants

    @rule(pick=picks, name=st.sampled_from(SPOILED), value=st.sampled_from([None, "?"]))
    def spoil(self, pick: int, name: str, value: str | None) -> None:
        """Somebody lays hands on a record."""
        if (job_id := self.a_job(pick)) is None or pick % 4:
            return
        home = self.hopper.keys.job(job_id)
        if name == "*":
            self.client.delete(home)
        elif value is None:
            self.client.hdel(home, name)
        elif self.client.exists(home):
            self.client.hset(home, name, value)
        self.lives[job_id].is_spoiled = True
        self.late.add(job_id)

    # --- PBXs, operator, time --------------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(
            [
                "know c",
                "down a",
                "down b",
                "up a",
                "up b",
                "talk 1",
                "talk 2",
                "lose token",
                "log in",
                "forget scripts",
            ]
        )
    )
    def something_else_happens(self, what: str) -> None:
        match what.split():
            case "know", name:
                self.stage.open_pbx(name, **PBXS[name])
            case ("down" | "up") as way, name:
                self.world[name].is_down = way == "down"
            case "talk", extid:  # a call that is not ours, or its end
                self.world["a"].talking ^= {extid}
            case "lose", _:
                self.lose_the_token()
            case "log", _:
                self.log_in_if_it_is_our_turn("a")
            case _:
                self.client.script_flush()

    @rule(pick=picks)
    def a_call_finds_its_pbx_down(self, pick: int) -> None:
        attempt = self.an_attempt(pick)
        if attempt and attempt.truth.knows in ("not placed", "nothing"):
            self.hopper.unreachable(attempt.claim.pbx, reason="down", by=attempt.job_id)

    def lose_the_token(self) -> None:
        turn = self.hopper.login_turn("a", refused=-1, nonce="x", lease_s=0.01, spacing_s=0)
        if isinstance(turn, Token):
            self.hopper.login_turn("a", refused=turn.generation, nonce="y", lease_s=0.01, spacing_s=0)

    def log_in_if_it_is_our_turn(self, name: str) -> None:
        turn = self.hopper.login_turn(name, refused=-1, nonce="z", lease_s=30, spacing_s=0)
        if isinstance(turn, Login):
            self.hopper.login_done(name, "z", token="token")

    @rule(seconds=st.sampled_from([0.005, 0.03, 0.12]))
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
        fates = [Truth(True, "callid", 0.0, False), Truth(False, "not placed", 0.0, False)]
        for name in PBXS:
            self.stage.open_pbx(name, logged_in=False)
            self.most_lines[name] = 1000
            self.world[name].is_down = False
            self.world[name].talking.clear()
        for pause in self.hopper.pauses():
            self.hopper.resume(pause.pbx, pause.extid)
        for job_id, life in self.lives.items():  # those of tomorrow would end tomorrow
            if life.is_spoiled or float(self.hopper.record(job_id).get("not_before", 0)) > self.hopper.now() + 60:
                self.hopper.cancel(job_id)
        for _ in range(MOST_ROUNDS):
            self.hopper.delivered(list(self.hopper.results(self.stage.sweep())))
            self.look_once()
            for name in PBXS:
                self.log_in_if_it_is_our_turn(name)
            for job_id in self.stage.release():
                if (attempt := self.claim_job(job_id, roll.choice(fates))) and roll.random() < 0.95:
                    self.tell_the_truth(attempt, roll.randrange(100))
            look = Look(self)
            look.all()
            if not look.stranded():
                break
            time.sleep(0.002)
        assert Look(self).stranded() == {}, f"after {MOST_ROUNDS} rounds"
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
        if first in ("job", "pbx", "token", "workers", "pauses"):
            return "hash"
        if first in ("seq", "wake", "starved", "sweeping", "aside", "aside_count", "audit"):
            return "other"
        return "set" if first in ("paused", "known") else "zset"

    def zset(self, name: str) -> dict[str, float]:
        return self.zsets.get(name, {})

    def all(self) -> None:
        for job_id, life in self.machine.lives.items():
            if life.is_spoiled:
                assert life.rings <= 1 or life.may_ring_again
            else:
                self.one_job(job_id, life)
                self.rings(job_id, life)
        for name in PBXS:
            self.lines(name)
            self.round(name)
            assert not self.zset(f"doubts:{name}") or name in self.zset("looks"), "nobody would look"
        self.no_strangers()

    def one_job(self, job_id: str, life: Life) -> None:
        record = self.hashes[f"job:{job_id}"]
        state, lane, later = record["state"], f"lane:{life.pbx}:{life.extid}", f"later:{life.pbx}"
        flight = ("lane:", "later:", "released", "claimed", "doubts:")
        where = {name for name, members in self.zsets.items() if name.startswith(flight) and job_id in members}
        if life.is_anew:
            where -= {name for name in where if name.startswith("lane:") and name != lane}
        final = JobState(state).is_final
        if not life.is_anew:
            counted = {name for name, ids in self.zsets.items() if name.startswith("waits:") and job_id in ids}
            assert counted == ({f"waits:{life.pbx}:{record['rank']}"} if where == {lane} else set()), state
        match state:
            case "waiting":
                assert where in ({lane}, {later}), (state, where)
            case "released":
                # Where nobody swept for long, the PBX no longer counts with it.
                assert {"released"} <= where <= {"released", f"released:{life.pbx}"}, (state, where)
            case "claimed":
                assert where == ({f"doubts:{life.pbx}"} if "doubt" in record else {"claimed"}), (state, where)
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

    def rings(self, job_id: str, life: Life) -> None:
        """Compare what the record says with what the phones did."""
        record = self.hashes[f"job:{job_id}"]
        assert life.rings <= 1 or life.may_ring_again, "the phone rang twice"
        match record["state"]:
            case "placed":
                assert life.rings, "placed, and no phone rang"
            case "failed" | "cancelled" | "expired":
                assert not life.rings or life.may_ring_again, "it rang, and nobody is told"
            case "unknown":
                assert life.holder is not None
                assert not life.holder.is_heard, "somebody had said what became of it"
        if "engaged" in record or JobState(record["state"]).is_final:
            # A call of which the PBX said that it had failed has been seen, or is known in another way.
            over = time.time() + 0.02
            for call in self.machine.world[life.pbx].calls:
                if call.job_id == job_id:
                    call.ends_at = min(call.ends_at, over)

    def stranded(self) -> dict[str, object]:
        """Jobs whose life is not over, and spoiled ones that some list still has."""
        alive = ("released", "claimed", "lane:", "later:", "doubts:", "expiry")
        listed = {job_id for name, members in self.zsets.items() if name.startswith(alive) for job_id in members}
        lives = self.machine.lives.items()
        return {
            job_id: self.hashes.get(f"job:{job_id}", {}).get("state", "gone")
            for job_id, life in lives
            if (job_id in listed if life.is_spoiled else not life.final)
        }

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
        placed, paused = set().union(*rings), {place.partition("/")[2] for place in self.hashes.get("pauses", {})}
        assert placed <= set(lanes) <= placed | paused, "every lane with jobs is in a ring unless it is paused"
        lanes = {extid: members for extid, members in lanes.items() if extid in placed}
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


@pytest.fixture
def clock() -> None:
    """The machine works against the server's clock: that time runs on between two steps is part of the test."""


def test_no_order_of_events_loses_a_job_or_rings_twice(redis_server: EmbeddedRedis) -> None:
    class OnThisServer(Lives):
        server = redis_server

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=examples(20),
            stateful_step_count=50,
            deadline=None,
            database=None,
            print_blob=True,
            # Shrinking takes minutes, for each try waits on the real clock: add Phase.shrink when you hunt.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
