"""The thread in every webhook process that hands due deliveries to Celery, endpoints in turns."""

import structlog

from worker.hopper import Hopper
from worker.rounds import Rounds
from worker.settings import Current, Settings
from worker.webhooks.sending import patience_of
from worker.webhooks.targets import keeping_of, routes

log = structlog.get_logger()

_ALIVE_S = 20.0
# What is handed out is begun within this, or due again: the longest that others may keep the slots, thrice.
LEASE_S = 90.0
# Of targets that are no longer in the settings; their deliveries are given up when they are taken.
_LIMIT = 4


class Courier:
    """
    Hands deliveries out until told to stop.

    Several may run at once, in any number of processes: each round is one atomic script.

    Args:
        hopper: Where deliveries wait.
        settings: Endpoints and patience.
        message: The Celery message of a delivery (see `worker.app.delivery_message`).
        name: This process's, for the list of those alive.
        slots: Attempts this process can make at once.
    """

    def __init__(
        self, hopper: Hopper, settings: Settings | Current, *, message: str, name: str, slots: int
    ) -> None:
        self._hopper = hopper
        current = Current.of(settings)
        self._queue = current.settings.webhook_queue
        self._message = message
        self._name = name
        self._slots = slots
        self._limits = current.derived(_limits)
        self._patience = current.derived(patience_of)
        self._keeping = current.derived(keeping_of)
        self._rounds = Rounds("courier", self._dispatch, hopper.courier_wake_call())

    def start(self) -> None:
        """Begin to hand out."""
        self._rounds.start()

    def stop(self) -> None:
        """Hand out nothing more; returns once that is certain, or after two seconds."""
        self._rounds.stop()

    def _dispatch(self) -> float | None:
        """Hand out what is due, and return how long there will be nothing to do."""
        count, seconds = self._hopper.dispatch(
            self._queue,
            self._message,
            courier=self._name,
            slots=self._slots,
            alive_s=_ALIVE_S,
            limits=self._limits(),
            limit=_LIMIT,
            lease_s=LEASE_S,
            patience=self._patience(),
            keeping=self._keeping(),
        )
        if count:
            log.debug("dispatched", deliveries=count)
        return seconds


def _limits(settings: Settings) -> dict[str, int]:
    return {target: route.max_in_flight for target, route in routes(settings).items()}
