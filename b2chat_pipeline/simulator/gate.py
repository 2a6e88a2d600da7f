"""Who may ask, and how often.

Belongs here: tokens and request limits. Not here: what is asked for (`api`).
"""

import base64
import binascii
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

_TOKEN_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Token:
    """An access token and the instant it ends."""

    value: str
    expires_at: datetime


class TokenOffice:
    """One token per account: asking again before it ends gives the same one."""

    def __init__(self, *, username: str, password: str, seed: int) -> None:
        self._credentials = f"{username}:{password}".encode()
        self._seed = seed
        self._issued = 0
        self._token: Token | None = None

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header holds the account's credentials in the Basic form."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(given, self._credentials)

    def token(self, now: datetime) -> Token:
        """The token that holds at `now`."""
        if self._token is None or self._token.expires_at <= now:
            self._issued += 1
            value = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._seed}/{self._issued}"))
            self._token = Token(value, now + _TOKEN_LIFE)
        return self._token

    def accepts(self, authorization: str, now: datetime) -> bool:
        """Whether an Authorization header bears a token that holds at `now`."""
        scheme, _, value = authorization.partition(" ")
        token = self._token
        return scheme.lower() == "bearer" and token is not None and token.expires_at > now and token.value == value


class RateLimit:
    """Requests per second of real time, and per account-local day of the simulated clock."""

    def __init__(
        self,
        *,
        per_second: float | None,
        per_day: int | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._per_day = per_day
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self._day: tuple[object, int] = (None, 0)

    def refuse_for(self, local_now: datetime) -> int | None:
        """Seconds after which to ask again, or None where the request may pass (it is then counted)."""
        with self._lock:
            wait = self._day_is_full(local_now) or self._second_is_full()
            if wait is None:
                self._count(local_now)
            return wait

    def _day_is_full(self, local_now: datetime) -> int | None:
        day, used = self._day
        if self._per_day is None or day != local_now.date() or used < self._per_day:
            return None
        midnight = datetime.combine(local_now.date() + timedelta(days=1), datetime.min.time())
        return max(1, int((midnight - local_now).total_seconds()))

    def _second_is_full(self) -> int | None:
        now = self._monotonic()
        while self._recent and now - self._recent[0] >= 1:
            self._recent.popleft()
        return 1 if self._per_second is not None and len(self._recent) >= self._per_second else None

    def _count(self, local_now: datetime) -> None:
        self._recent.append(self._monotonic())
        day, used = self._day
        self._day = (local_now.date(), used + 1 if day == local_now.date() else 1)
