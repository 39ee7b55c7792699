"""The short moves of results on their way to endpoints, which the hopper's tests share."""

import json
import uuid
from collections.abc import Sequence

from tests.integration.hopper.stage import MESSAGE, Stage
from worker.hopper import Attempt, Ending, EndpointView, Keeping, Patience

KEEPING = Keeping(kept_s=600, most_dead=100)
PATIENCE = Patience(rest_cap_s=60, disable_after_s=3600)
FAILED = Ending("again", delay_s=60, error="HTTP 500", blames=True)
DELIVERED = Ending("delivered")


class Post:
    """One courier with 8 slots, and endpoints; nothing here knows how the hopper works."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.hopper = stage, stage.hopper
        self.queue = f"{stage.hopper.keys.namespace}.webhooks"

    def ended(self, extid: str = "1001", **fields: object) -> str:
        job_id = self.stage.put(extid, **fields)
        self.hopper.cancel(job_id)
        return job_id

    def announce(self, job_id: str, *names: str, sources: Sequence[str] = (), **origins: list[str]) -> int:
        results = [(result, names) for result in self.hopper.results([job_id])]
        return self.hopper.announce(results, origins=origins, sources=sources, keeping=KEEPING)

    def announced(self, *names: str, extid: str = "1001") -> str:
        job_id = self.ended(extid)
        assert self.announce(job_id, *(names or ("crm",))) == max(1, len(names))
        return job_id

    def dispatch(
        self,
        *,
        slots: int = 8,
        limit: int = 4,
        lease_s: float = 60,
        most: int = 50,
        patience: Patience = PATIENCE,
        keeping: Keeping = KEEPING,
        taken: bool = True,
    ) -> list[str]:
        """Hand out what is due, and take the messages as the process would: delivery ids in their order."""
        count, self.sleep_s = self.hopper.dispatch(
            self.queue,
            MESSAGE,
            courier="post1",
            slots=slots,
            alive_s=60,
            limits={},
            limit=limit,
            lease_s=lease_s,
            patience=patience,
            keeping=keeping,
            most=most,
        )
        if not taken:
            return []
        messages = [json.loads(self.hopper.client.rpop(self.queue)) for _ in range(count)]
        assert all(message["id"] in message["tag"] for message in messages)
        return [message["id"] for message in messages]

    def take(self, delivery_id: str, nonce: str | None = None, *, lease_s: float = 60) -> Attempt | None:
        return self.hopper.take_delivery(self.queue, delivery_id, nonce or uuid.uuid4().hex, lease_s=lease_s)

    def attempt(self) -> Attempt:
        """Bring the one delivery that is due as far as its attempt."""
        [delivery_id] = self.dispatch()
        attempt = self.take(delivery_id)
        assert attempt is not None
        return attempt

    def end(
        self, attempt: Attempt, ending: Ending, *, patience: Patience = PATIENCE, keeping: Keeping = KEEPING
    ) -> tuple[str, bool]:
        return self.hopper.attempted(attempt.id, attempt.nonce, ending, patience=patience, keeping=keeping)

    def fail(self, times: int = 1) -> None:
        """Let attempts fail, each at the delivery that is due."""
        for _ in range(times):
            self.forget_rest()
            self.end(self.attempt(), FAILED)

    def forget_rest(self, target: str = "crm") -> None:
        """As if the time had passed for which a failing target is left alone."""
        self.hopper.client.hdel(self.hopper.keys.target(target), "rest_until", "asked_until")
        self.hopper.client.zadd(f"{self.hopper.keys.namespace}:targets", {target: 1})

    def make_due(self, target: str = "crm") -> None:
        """As if the times of its waiting deliveries had come."""
        due = self.hopper.keys.due(target)
        for delivery_id in self.hopper.client.zrange(due, 0, -1):
            self.hopper.client.zadd(due, {delivery_id: 1})
        self.forget_rest(target)

    def view(self, target: str = "crm") -> EndpointView:
        return self.hopper.endpoint(target)

    def dead(self, target: str = "crm") -> list[str]:
        return [letter.id for letter in self.hopper.dead_letters(target)]
