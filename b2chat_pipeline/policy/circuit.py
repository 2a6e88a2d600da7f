"""When B2Chat is asked again after it could not be read: a circuit for each side of the API.

It opens where a sync could read nothing, and closes with the next one that can. While it is open, nothing is asked for
but one hour, after pauses that grow. Not here: what the books tell (`warehouse/circuit.py`), asking (`automation/`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

# The types of errors (of `b2chat/errors.py`, which this module must not import) by which a source shows itself down: it
# does not answer, or it refuses. One that answers something else than it should is not down.
SILENT = frozenset({"TransientError", "RateLimitedError", "RequestTimeout", "PermanentError", "NotFoundError"})
REFUSING = frozenset({"AuthenticationError", "ForbiddenError"})
# Such an error comes after an answer.
_ANSWERED = frozenset({"ContractError", "IncompleteListError", "InvalidRequestError", "LoadError", "LedgerError"})
# Between a sync in vain and the next one: as long as the source has been down, within these.
SHORTEST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class SyncEnd:
    """How a sync ended that asked the source: `code` names the type of its error."""

    ended: datetime
    status: str
    code: str | None


@dataclass(frozen=True)
class Outage:
    """A circuit that is open: when the first and the last sync in a row could read nothing."""

    since: datetime
    failed: datetime

    @property
    def next_probe(self) -> datetime:
        """When one hour is asked for again. The pauses double, however many syncs failed at one time."""
        return self.failed + min(max(self.failed - self.since, SHORTEST_PAUSE), LONGEST_PAUSE)


def opens(status: str, code: str | None) -> bool:
    """Whether a sync that ended so opens the circuit: nothing could be read, since the source did not answer."""
    return status == "error" and code in SILENT | REFUSING


def outage(ends: Iterable[SyncEnd]) -> Outage | None:
    """The outage that the newest syncs tell of (the newest first); None where the circuit is closed.

    A sync that our own process, database or budget ended says nothing about the source, and is passed over.
    """
    failed: list[datetime] = []
    for it in ends:
        if opens(it.status, it.code):
            failed.append(it.ended)
        elif it.status == "success" or it.code in _ANSWERED:
            break
    return Outage(failed[-1], failed[0]) if failed else None
