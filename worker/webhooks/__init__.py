"""Results brought to whoever asked for them, by HTTP, whatever state the other side is in."""

from worker.webhooks.calls import Call

__all__ = ["Call"]
