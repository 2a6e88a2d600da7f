"""The client's request budget, counted by the warehouse for all processes together.

Here belongs what a refusal means. Not here: the counting (`warehouse/budget.py`), the shares (`policy/`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.b2chat.errors import BudgetExhausted
from b2chat_pipeline.policy import RequestClass, request_share
from b2chat_pipeline.warehouse.budget import Grant, Limits, block_requests, take_request
from b2chat_pipeline.windows import AccountClock


class SharedBudget:
    """Permission to send requests. `connection` is its own, in autocommit mode: a request sent stays counted."""

    def __init__(
        self, connection: Connection, limits: Limits, clock: AccountClock, *, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._clock = clock
        self._now = now

    def take(self, request_class: RequestClass) -> float:
        """Count one request and return the seconds to wait before sending it. Raises BudgetExhausted."""
        now = self._now()
        day = self._clock.day_of(now)
        share = request_share(request_class, self._limits.per_day)
        answer = take_request(self._connection, request_class, day=day, now=now, limits=self._limits, share=share)
        if isinstance(answer, Grant):
            return answer.wait
        if answer.blocked_until is not None:
            raise BudgetExhausted(
                f"B2Chat asked for a pause that is not over before {answer.blocked_until:%Y-%m-%d %H:%M:%S} UTC",
                until=answer.blocked_until,
            )
        tomorrow = self._clock.day_window(day + timedelta(days=1)).start
        raise BudgetExhausted(
            f"today's share of requests for {request_class} work ({share}) is used up", until=tomorrow
        )

    def block_until(self, moment: datetime) -> None:
        """Let no process send anything before `moment`."""
        block_requests(self._connection, day=self._clock.day_of(self._now()), until=moment)
