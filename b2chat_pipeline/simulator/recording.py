"""What the simulator remembers of a request. Never a header: those hold credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """A request that was answered: when (simulated, UTC), what, and with which status (0: the connection was reset)."""

    method: str
    path: str
    params: Mapping[str, object]
    time: datetime
    status: int
