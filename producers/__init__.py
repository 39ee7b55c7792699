"""How jobs get in: `from producers import Dialer`, files, and the `outdial` command."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producers.enqueue import Dialer, Refusal, Ticket

__all__ = ["Dialer", "Refusal", "Ticket"]


def __getattr__(name: str) -> Any:
    # The door brings Redis and pydantic along, 0.4 s of importing that `outdial --help` can do without.
    if name in __all__:
        from producers import enqueue  # noqa: PLC0415 - see above

        return getattr(enqueue, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
