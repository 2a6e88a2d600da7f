"""One sync of one side of the API: reads the hours asked for, loads them day by day, and keeps the books.

Here belongs what one run does from its first request to its last commit. Not here: Dagster, and how any single step works.
The chats side and the contacts side do not depend on each other, so trouble at one endpoint never holds up the other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.client import B2ChatClient
from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint, decode_page
from b2chat_pipeline.b2chat.errors import B2ChatError, BudgetExhausted
from b2chat_pipeline.ingest.days import DayTold, days_told
from b2chat_pipeline.ingest.loading import DayLoader, LoadError
from b2chat_pipeline.ingest.reading import PageTold, Reader, plan_reads, told_record
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, close_sync, open_sync
from b2chat_pipeline.warehouse.ledger import Counts
from b2chat_pipeline.warehouse.reads import HourRead, hours_read, record_hours_read, stored_pages
from b2chat_pipeline.windows import AccountClock, Window

# The entities that each side fills; the first is the one its reads belong to.
ENTITIES: Mapping[Endpoint, tuple[str, ...]] = {
    CHATS: ("chats", "messages", "agents", "departments", "contacts"),
    CONTACTS: ("contacts",),
}


class NothingStoredError(LoadError):
    """An hour was to be loaded from stored pages, but no stored read covers it."""


@dataclass(frozen=True)
class Order:
    """What a run asks for: hours of one side; whether to read them, and whether to load them."""

    endpoint: Endpoint
    hours: Sequence[Window]
    read: bool
    load: bool
    user_id: str
    operation: str
    run_id: str


@dataclass
class Outcome:
    """What became of each hour: counts by entity of those loaded, the error of those that failed."""

    sync_id: str
    counts: dict[datetime, dict[str, Counts]] = field(default_factory=dict)
    failed: dict[datetime, Exception] = field(default_factory=dict)
    requests: int = 0
    pages: int = 0

    @property
    def status(self) -> str:
        """success, partial (some hours loaded, or the budget ran out) or error."""
        if not self.failed:
            return "success"
        stopped = all(isinstance(error, BudgetExhausted) for error in self.failed.values())
        return "partial" if self.counts or stopped else "error"
