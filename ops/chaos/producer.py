"""The CRM of a run: hands in every order, whatever happens to Redis."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis

from ops.chaos.bystanders import Intake
from ops.chaos.gate import Gate
from ops.chaos.orders import Order
from producers import Dialer
from worker.errors import ServiceUnreachable

_AGAIN_AFTER_S = 0.1


@dataclass(frozen=True, slots=True)
class Handed:
    """An order that was handed in, and the id its job got."""

    order: Order
    job_id: str


class Producer:
    """
    Two threads that hand orders in, some twice, and withdraw some.

    A step that Redis did not answer is repeated until it is: each order has a key.

    Args:
        dialer: The door.
        intake: The other one, for those that come by HTTP.
        orders: In order of time.
        gate: What each step passes.
    """

    def __init__(self, dialer: Dialer, intake: Intake, orders: Iterable[Order], gate: Gate) -> None:
        self.handed: dict[str, Handed] = {}
        # What went against the promise to whoever hands in, one sentence each.
        self.complaints: list[str] = []
        self._dialer = dialer
        self._intake = intake
        self._gate = gate
        self._orders = list(orders)
        self._stopping = threading.Event()
        self._started_at = 0.0
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"producer-{n}") for n in (0, 1)]

    def start(self) -> None:
        """Begin; `at_s` of every order counts from now."""
        self._started_at = time.time()
        for thread in self._threads:
            thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Wait until everything is handed in; False if it took too long, and was given up."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        in_time = not any(thread.is_alive() for thread in self._threads)
        self.stop()
        return in_time

    def stop(self) -> None:
        """Hand nothing more in."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, share: int) -> None:
        turns = itertools.count()
        agenda: list[tuple[float, int, Callable[[Order], None], Order]] = [
            (order.at_s, next(turns), self._hand_in, order) for order in self._orders[share::2]
        ]
        heapq.heapify(agenda)
        while agenda and not self._stopping.is_set():
            at_s, _, step, order = heapq.heappop(agenda)
            self._stopping.wait(max(0.0, self._started_at + at_s - time.time()))
            if not self._until_answered(step, order) or step != self._hand_in:
                continue
            now_s = time.time() - self._started_at
            for wait_s, later in (
                (order.again_after_s, self._hand_in_again),
                (order.cancel_after_s, self._cancel),
            ):
                if wait_s is not None:
                    heapq.heappush(agenda, (now_s + wait_s, next(turns), later, order))

    def _until_answered(self, step: Callable[[Order], None], order: Order) -> bool:
        while not self._stopping.is_set():
            try:
                with self._gate.passed():
                    step(order)
            except (ServiceUnreachable, redis.RedisError):
                self._stopping.wait(_AGAIN_AFTER_S)
            else:
                return True
        return False

    def _hand_in(self, order: Order) -> None:
        job_id, _ = self._enqueue(order)
        self.handed[order.key] = Handed(order, job_id)

    def _hand_in_again(self, order: Order) -> None:
        job_id, is_new = self._enqueue(order)
        if is_new or job_id != self.handed[order.key].job_id:
            self.complaints.append(f"order {order.number} came again under its key and became another job")

    def _enqueue(self, order: Order) -> tuple[str, bool]:
        fields = self._fields(order)
        if order.by_http:
            return self._intake.enqueue(**fields)
        ticket = self._dialer.enqueue(**fields)
        return ticket.id, ticket.is_new

    def _cancel(self, order: Order) -> None:
        word, state = self._dialer.hopper.cancel(self.handed[order.key].job_id)
        if word == "gone":
            self.complaints.append(f"order {order.number} was to be cancelled and was gone ({state})")

    def _fields(self, order: Order) -> dict[str, Any]:
        fields: dict[str, Any] = {"extid": order.extid, "outto": order.outto, "pbx": order.pbx, "key": order.key}
        fields |= {"priority": order.priority, "on_unknown": order.on_unknown}
        if order.not_before_s is not None:
            fields["not_before"] = datetime.fromtimestamp(self._started_at + order.not_before_s, UTC)
        if order.expires_in_s is not None:
            fields["expires_in_s"] = order.expires_in_s
        return fields
