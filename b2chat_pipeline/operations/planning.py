"""What a load of some hours will take, from what is known of the account.

Not here: the arithmetic (`policy/loads.py`).
"""

from collections.abc import Mapping
from datetime import timedelta

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.b2chat.decoding import decode_page
from b2chat_pipeline.b2chat.errors import B2ChatError
from b2chat_pipeline.b2chat.paging import Query
from b2chat_pipeline.operations.probing import ask_once, utc_now
from b2chat_pipeline.policy import PAGE_SIZE, history_left, request_share
from b2chat_pipeline.policy.loads import RECORD_SECONDS, Allowance, LoadPlan, Pace, SideExpected, plan_load
from b2chat_pipeline.settings import OperatorError, read_account, read_source
from b2chat_pipeline.warehouse.accounts import stored_settings
from b2chat_pipeline.warehouse.staleness import requests_sent
from b2chat_pipeline.warehouse.sweeping import records_of_hours, seconds_per_page
from b2chat_pipeline.windows import AccountClock, Window

# Reads as long ago tell how fast B2Chat answers.
_LATELY = timedelta(days=30)
_HOUR = timedelta(hours=1)


class NotPlannedError(OperatorError):
    """B2Chat was asked how much there is to load, and did not answer."""


def load_plan(connection: Connection, environ: Mapping[str, str], window: Window, *, pace: Pace) -> LoadPlan:
    """What loading the hours of a window will take. Raises OperatorError.

    Where more than half of the hours have been read before, they tell what the others hold; else B2Chat is asked for
    one page of each side, which says how many records there are.
    """
    clock, now = AccountClock(read_account(environ).zone), utc_now()
    source = read_source(environ, stored_settings(connection))
    per_day = source.requests_per_day
    sides: dict[str, SideExpected] = {
        endpoint: _expected(connection, environ, endpoint, window, clock) for endpoint in (CHATS, CONTACTS)
    }
    allowance = Allowance(None, None, source.requests_per_second)
    if per_day:
        left = history_left(requests_sent(connection, clock.day_of(now)), per_day)
        allowance = Allowance(left, request_share("backfill", per_day), source.requests_per_second)
    return plan_load(
        sides,
        hours=(window.end - window.start) // _HOUR,
        pace=pace,
        allowance=allowance,
        clock=clock,
        now=now,
    )


def _expected(
    connection: Connection, environ: Mapping[str, str], endpoint: Endpoint, window: Window, clock: AccountClock
) -> SideExpected:
    hours = (window.end - window.start) // _HOUR
    seconds = seconds_per_page(connection, endpoint, since=utc_now() - _LATELY)
    known, records = records_of_hours(connection, endpoint, window)
    if 2 * known > hours and seconds is not None:
        return SideExpected(records / known * hours, seconds)
    days = clock.days_of(window)
    # The API demands two days at least, both included: a single one is asked for with the day before.
    first = min(days[0], days[-1] - timedelta(days=1))
    try:
        answer = ask_once(connection, environ, Query(endpoint, first, days[-1], "asc"), limit=PAGE_SIZE)
    except B2ChatError as error:
        raise NotPlannedError(
            f"the load cannot be planned, since B2Chat was asked in vain how much there is: {error}"
        ) from None
    page = decode_page(answer.body, endpoint)
    asked = max(2, len(days))
    return SideExpected(
        (page.total or len(page.records)) * len(days) / asked,
        seconds or answer.seconds + PAGE_SIZE * RECORD_SECONDS,
    )
