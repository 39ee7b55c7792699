"""Results brought to whoever asked for them, by HTTP, whatever state the other side is in."""

from worker.webhooks.calls import Call

DELIVER_TASK = "worker.tasks.deliver"

__all__ = ["DELIVER_TASK", "Call"]
