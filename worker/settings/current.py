"""The settings in force in a process. Long-lived parts read them here whenever they need one."""

from collections.abc import Callable
from typing import Generic, TypeVar

from worker.settings.settings import Settings

T = TypeVar("T")


class Current:
    """
    Holds the settings of a process; a reload replaces them as a whole, and threads may read them meanwhile.

    A caller that needs two settings that belong together reads `settings` once.

    Args:
        settings: Those in force at first.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def of(cls, settings: "Settings | Current") -> "Current":
        """Return a holder itself, or one for settings that stay as they are."""
        return settings if isinstance(settings, Current) else cls(settings)

    def derived(self, make: Callable[[Settings], T]) -> "Derived[T]":
        """Return what *make* makes of the settings in force."""
        return Derived(self, make)


class Derived(Generic[T]):
    """
    A value made of the settings, and made again once they were replaced.

    Args:
        current: The settings.
        make: Pure; threads may run it twice at the same time.
    """

    def __init__(self, current: Current, make: Callable[[Settings], T]) -> None:
        self._current = current
        self._make = make
        self._made = (current.settings, make(current.settings))

    def __call__(self) -> T:
        """Return the value for the settings in force."""
        settings, value = self._made
        if settings is not self._current.settings:
            settings = self._current.settings
            value = self._make(settings)
            self._made = (settings, value)
        return value
