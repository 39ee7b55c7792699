"""One run from its beginning to its account."""

import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import redis

from ops.chaos.account import Account
from ops.chaos.conductor import Conductor
from ops.chaos.crew import PROCESSES
from ops.chaos.evidence import gather, seen_of, unfinished
from ops.chaos.faults import FAULTS
from ops.chaos.orders import make_orders
from ops.chaos.plan import make_plan
from ops.chaos.producer import Producer
from ops.chaos.site import CREWS, Site
from ops.installation import eventually

_PROGRESS_S = 10.0
_LOOK_S = 0.1
_TOKENS_S = 0.5
# Of the run, jobs are handed in for all but the last seconds, so that the last faults meet work too.
_QUIET_END_S = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """
    Of one run.

    Attributes:
        seconds: For how long jobs come in and things go wrong.
        heal_s: How long everything may take to come to its end after that.
    """

    seed: int
    seconds: float = 300
    jobs: int = 2000
    faults_per_minute: float = 40
    heal_s: float = 75


@dataclass(slots=True)
class _Watch:
    """What is looked at while the run goes on."""

    tokens: set[str] = field(default_factory=set)
    tokens_at: float = 0.0
    told_at: float = 0.0


class Run:
    """
    Sets up the parts in a folder, lets everything happen, and judges.

    Args:
        options: What is to happen.
        folder: For data, logs and journals.
        say: Gets a line of progress now and then.
    """

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.logs: list[Path] = []
        self._folder = folder
        self._say = say
        self._watch = _Watch()

    def account(self) -> Account:
        """
        Run, and return the account.

        Raises:
            ServiceUnreachable: If a part does not start.
            TimeoutError: If the workers do not.
        """
        options = self.options
        plan = make_plan(options.seed, FAULTS, seconds=options.seconds, per_minute=options.faults_per_minute)
        orders = make_orders(options.seed, jobs=options.jobs, seconds=max(1.0, options.seconds - _QUIET_END_S))
        with ExitStack() as stack:
            site = Site(self._folder)
            conductor = Conductor(site, FAULTS, plan)
            stack.callback(conductor.close)  # after the site: see there
            stack.enter_context(site)
            producer = Producer(site.dialer(), site.bystanders.intake, orders, site.gate)
            stack.callback(producer.stop)
            self._wait_for_workers(site)
            self._go_through(site, producer, conductor)
            self._heal(site, producer, conductor)
            texts = seen_of(site, producer)
            _keep(texts, self._folder / "seen")
            for crew in site.crews.values():
                crew.stop()
            self.logs = site.logs()
            tokens = self._watch.tokens
            evidence = gather(site, producer, conductor.deeds, traits=dict(FAULTS), tokens=tokens, texts=texts)
        return Account(evidence)

    def _wait_for_workers(self, site: Site) -> None:
        """Begin when all dial: what a slow start takes away from the run would be missing in its account."""
        eventually(lambda: len(site.hopper.workers_alive()) == len(CREWS) * PROCESSES)

    def _go_through(self, site: Site, producer: Producer, conductor: Conductor) -> None:
        began = time.monotonic()
        producer.start()
        while (elapsed_s := time.monotonic() - began) < self.options.seconds:
            conductor.start_due(elapsed_s)
            self._look(site, producer, conductor, elapsed_s)
            time.sleep(_LOOK_S)

    def _heal(self, site: Site, producer: Producer, conductor: Conductor) -> None:
        self._say("no more faults; waiting for every job's end")
        conductor.finish()
        site.heal()
        deadline = time.monotonic() + self.options.heal_s
        if not producer.finish(self.options.heal_s):
            self._say("not every job could be handed in")
        left = unfinished(site, producer.handed.values())
        while left and time.monotonic() < deadline:
            time.sleep(0.5)
            left = unfinished(site, producer.handed.values())
        self._say(f"{left} jobs not over or not delivered" if left else "every job is over")
        # What a killed process was about to tell is told 90 s later (see `worker.webhooks`); nobody waits for it.
        untold = site.receivers.untold(one.job_id for one in producer.handed.values())
        self._say(f"{untold} ends the CRM is still to be told of" if untold else "the CRM knows every end")

    def _look(self, site: Site, producer: Producer, conductor: Conductor, elapsed_s: float) -> None:
        watch = self._watch
        if elapsed_s >= watch.told_at + _PROGRESS_S:
            watch.told_at = elapsed_s
            self._say(f"{elapsed_s:4.0f} s  {len(producer.handed)} jobs handed in, {len(conductor.deeds)} faults")
        if elapsed_s >= watch.tokens_at + _TOKENS_S:
            watch.tokens_at = elapsed_s
            try:
                watch.tokens |= site.tokens()
            except redis.RedisError:
                return  # one of the faults


def _keep(texts: Mapping[str, str], folder: Path) -> None:
    """Write down what was seen, a file for each surface, for whoever wants to look for more."""
    folder.mkdir()
    for surface, text in texts.items():
        (folder / re.sub(r"[^A-Za-z0-9]+", "-", surface).strip("-")).write_text(text)


def to_stderr(line: str) -> None:
    """Say a line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
