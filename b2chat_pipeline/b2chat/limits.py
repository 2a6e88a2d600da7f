"""What the client may spend on a page: requests of the shared budget, attempts, seconds.

Here belong the shapes only. Not here: counting requests over all processes (the warehouse does, in PostgreSQL), or the
retry loop (`client.py`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from b2chat_pipeline.policy import RequestClass

# No page is asked for in fewer records; up to here a time-out is not the page's fault, and is retried like all else.
SMALLEST_PAGE = 25


class RequestBudget(Protocol):
    """Permission to send requests, shared by every process that uses the account."""

    def take(self, request_class: RequestClass) -> float:
        """Count one request and return the seconds to wait before sending it, 0 when free. Raises BudgetExhausted."""
        ...

    def block_until(self, moment: datetime) -> None:
        """Record that the source asked every process to send nothing before `moment` (UTC)."""
        ...


@dataclass(frozen=True)
class RetryPolicy:
    """How patient one call is. Everything but the counts is in seconds."""

    attempts: int = 6
    # Time-outs of a large page end sooner: half a page helps more than a third try for the whole one.
    timeout_attempts: int = 2
    # Waits between attempts are drawn from 0..first_wait, then twice that, up to 0..longest_wait (full jitter).
    first_wait: float = 1.0
    longest_wait: float = 60.0
    # The longest pause asked for by the source (Retry-After) that a run sits out.
    retry_after_ceiling: float = 300.0
    connect_timeout: float = 10.0
    # The longest silence within an answer.
    read_timeout: float = 60.0
    # One attempt from sending to the last byte, however steadily it drips.
    attempt_deadline: float = 120.0
    # The whole call with its attempts and waits, not counting waits for the request budget.
    total_deadline: float = 600.0


DEFAULT_POLICY = RetryPolicy()
