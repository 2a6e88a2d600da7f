"""What every sync does around its work: closes its books whatever ends it, and says what the database did.

What went wrong first is what is told, also where the database goes away and the books stay open. Not here: the books
themselves (`warehouse/books.py`), the work (`sync.py`, `all_contacts.py`, `quarantine.py`, `replay.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import psycopg
from psycopg import Connection

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.books import EntityTotals, Sync, SyncStoppedError, close_sync, error_text
from b2chat_pipeline.warehouse.connection import WarehouseStoppedError, named, remedy


class BooksOpenError(OperatorError):
    """A sync came to its end, but the database did not take that down. The text begins with what went wrong first."""


@dataclass(frozen=True)
class Work:
    """How sentences call a sync, how an operator has it done again, and what one transaction of it writes (None where
    whether that was written does not matter).
    """

    name: str
    again: str
    unit: str | None = None


class Result(Protocol):
    """What came of a sync, as its books tell it."""

    @property
    def status(self) -> str:
        """success, partial or error."""

    @property
    def first_error(self) -> Exception | None:
        """What went wrong first; a budget that ran out is nothing wrong."""

    def total(self, entity: str) -> EntityTotals:
        """What became of an entity's records."""


@contextmanager
def stopping(work: Work, loading: Connection) -> Iterator[None]:
    """Raises WarehouseStoppedError where PostgreSQL goes away, or cannot go on. `loading` writes the rows."""
    try:
        yield
    except psycopg.OperationalError as error:
        # Nobody knows what became of a COMMIT whose answer did not come.
        is_unknown = loading.closed and work.unit is not None
        unknown = f", so it is not known whether the {work.unit} in hand was written" if is_unknown else ""
        raise WarehouseStoppedError(
            f"the database stopped {work.name} with {named(error)}{unknown}: {remedy(error)}, then {work.again}."
        ).with_traceback(error.__traceback__) from None


@contextmanager
def closing(work: Work, books: Connection, sync: Sync, result: Result, now: Callable[[], datetime]) -> Iterator[None]:
    """Close the books of a sync when it is over. Raises BooksOpenError where the database does not let them be closed.

    An error that ends the sync is raised after the books are closed.
    """
    try:
        yield
    except Exception as error:
        _close(work, books, sync, result, "error", error, now())
        raise
    except BaseException as ending:  # KeyboardInterrupt, or what Dagster makes of a signal
        stopped = SyncStoppedError("its process was told to end; what it had loaded and read is kept")
        _close(work, books, sync, result, "error", stopped.with_traceback(ending.__traceback__), now())
        raise
    _close(work, books, sync, result, result.status, result.first_error, now())


def _close(
    work: Work,
    books: Connection,
    sync: Sync,
    result: Result,
    status: str,
    error: Exception | None,
    now: datetime,
) -> None:
    totals = {entity: result.total(entity) for entity in sync.log_ids}
    try:
        close_sync(books, sync, totals, status=status, error=error, now=now)
    except psycopg.OperationalError as refusal:
        if isinstance(error, SyncStoppedError):
            return  # an interruption stays one
        first = "All of it was done." if error is None else error_text(error)
        raise BooksOpenError(
            f"{first} Closing the books failed with {named(refusal)}: {remedy(refusal)}, then {work.again}, which"
            " closes them."
        ) from error
