"""One question to B2Chat outside any load: it is counted in the budget, and its answer is not stored."""

from collections.abc import Mapping
from datetime import UTC, datetime

from psycopg import Connection

from b2chat_pipeline.b2chat.client import Answer, B2ChatClient, Credentials, RetryPolicy
from b2chat_pipeline.b2chat.paging import Query
from b2chat_pipeline.ingest.budget import SharedBudget
from b2chat_pipeline.settings import read_account, read_source
from b2chat_pipeline.warehouse.accounts import stored_settings
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.windows import AccountClock


def ask_once(connection: Connection, environ: Mapping[str, str], query: Query, *, limit: int) -> Answer:
    """The first records of a list, asked for once, with a token of its own. Raises B2ChatError, SettingsError."""
    source = read_source(environ, stored_settings(connection))
    limits = Limits(source.requests_per_second, source.requests_per_day)
    with B2ChatClient(
        source.api_url,
        Credentials(source.username, source.password),
        budget=SharedBudget(connection, limits, AccountClock(read_account(environ).zone), now=utc_now),
        request_class="hourly",
        policy=RetryPolicy(attempts=1),
    ) as client:
        return client.get(query.endpoint, query.params(offset=0, limit=limit), window=str(query))


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
