"""The simulator's clock.

Belongs here: what time it is for the invented account. Not here: the account's zone, which is the world's.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that stands still (`speed=0`), runs with real time (`1`) or faster, and can be set or advanced."""

    def __init__(self, start: datetime, *, speed: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._speed = speed
        self._monotonic = monotonic
        self.set(start)

    def now(self) -> datetime:
        """The simulated instant, in UTC."""
        with self._lock:
            elapsed = (self._monotonic() - self._set_at) * self._speed if self._speed else 0.0
            return self._base + timedelta(seconds=elapsed)

    def set(self, instant: datetime) -> None:
        """Jump to an instant; it runs on from there at its speed. A naive datetime is a ValueError."""
        if instant.tzinfo is None:
            message = "The simulator's clock needs an aware datetime; give it a time zone, for example UTC."
            raise ValueError(message)
        with self._lock:
            self._base = instant.astimezone(UTC)
            self._set_at = self._monotonic()

    def advance(self, step: timedelta) -> None:
        """Move the clock by a step, forwards or (negative) backwards."""
        self.set(self.now() + step)
