"""Which processes a supervisor looks after."""

import os

from worker.supervisor import Supervisor


def test_webhook_processes_stand_beside_the_dialing_ones_with_slots_of_their_own() -> None:
    for webhooks, expected in (((0, 0), []), ((2, 5), [5, 5])):
        supervisor = Supervisor(
            None, processes=2, concurrency=16, stop_grace_s=1, webhooks=lambda given=webhooks: given
        )
        os.close(supervisor._pipe_read)
        os.close(supervisor._pipe_write)

        assert [slot.concurrency for slot in supervisor._slots if slot.dials] == [16, 16]
        assert [slot.concurrency for slot in supervisor._slots if not slot.dials] == expected
        assert len({slot.name for slot in supervisor._slots}) == len(supervisor._slots)
