"""Dagster resources: thin shells that open what the libraries need, at run time and not before.

Here belongs reading settings and opening connections for one run. Not here: any work. The resources have hardly any
configuration on purpose: settings come from the environment, so no secret enters a run's config, and a missing one is a
sentence instead of a config error.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from b2chat_pipeline.b2chat.contract import ENTITIES, Endpoint
from b2chat_pipeline.policy import RequestClass
from b2chat_pipeline.settings import (
    Account,
    ModelService,
    Source,
    read_account,
    read_admin_emails,
    read_model_service,
    read_source,
    read_storage,
)

if TYPE_CHECKING:
    from psycopg import Connection

    from b2chat_pipeline.ingest.sync import Tools


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL that is loaded into."""

    url: str = Field(default="", description="Address; empty takes B2CHAT_DATABASE_URL or the embedded server.")

    @contextmanager
    def connect(self, purpose: str) -> "Iterator[Connection]":
        """An autocommit connection, closed at the end. Raises WarehouseUnavailableError."""
        from b2chat_pipeline.warehouse.connection import connect
        from b2chat_pipeline.warehouse.location import warehouse_url

        with connect(self.url or warehouse_url(read_storage(os.environ)), purpose=purpose) as connection:
            yield connection


class B2ChatResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The B2Chat account that is read from."""

    url: str = Field(default="", description="Address; empty takes B2CHAT_API_URL.")

    def account(self) -> Account:
        """The account's calendar. Raises SettingsError."""
        return read_account(os.environ)

    def source(self, stored: Mapping[str, str]) -> Source:
        """How to reach the account, with the settings kept in the database. Raises SettingsError."""
        return read_source({**os.environ, "B2CHAT_API_URL": self.url or os.environ.get("B2CHAT_API_URL", "")}, stored)

    def requests_per_day(self, connection: "Connection") -> int:
        """How many requests may be sent a day (0: any number). Raises SettingsError."""
        from b2chat_pipeline.warehouse.accounts import stored_settings

        return self.source(stored_settings(connection)).requests_per_day

    @contextmanager
    def tools(self, warehouse: WarehouseResource, request_class: RequestClass, endpoint: Endpoint) -> "Iterator[Tools]":
        """Everything one sync of an endpoint works with, after the account has been compared with what the tables hold.

        Where the source is known to be down, the first request alone decides whether it still is.
        """
        from b2chat_pipeline.b2chat.client import B2ChatClient, Credentials
        from b2chat_pipeline.ingest.budget import SharedBudget
        from b2chat_pipeline.ingest.sync import Tools
        from b2chat_pipeline.warehouse.accounts import ensure_users, hold_zone, stored_settings
        from b2chat_pipeline.warehouse.budget import Limits
        from b2chat_pipeline.warehouse.circuit import outage_of
        from b2chat_pipeline.windows import AccountClock

        account = self.account()
        clock = AccountClock(account.zone)
        with ExitStack() as stack:
            reading, loading, books, counting = (
                stack.enter_context(warehouse.connect(purpose)) for purpose in ("read", "load", "books", "budget")
            )
            source = self.source(stored_settings(books))
            hold_zone(books, account.zone.key, now=utc_now())
            ensure_users(books, read_admin_emails(os.environ, stored_settings(books)), now=utc_now())
            limits = Limits(source.requests_per_second, source.requests_per_day)
            client = B2ChatClient(
                source.api_url,
                Credentials(source.username, source.password),
                budget=SharedBudget(counting, limits, clock, now=utc_now),
                request_class=request_class,
                clock=utc_now,
                probing=outage_of(books, ENTITIES[endpoint][0], now=utc_now()) is not None,
            )
            stack.enter_context(client)
            yield Tools(client, reading, loading, books, clock, utc_now)


class JudgeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The service whose model judges conversations."""

    url: str = Field(default="", description="Address; empty takes ANTHROPIC_BASE_URL.")

    def place(self) -> ModelService:
        """How to reach the service. Raises SettingsError where there is no key."""
        return read_model_service(
            {**os.environ, "ANTHROPIC_BASE_URL": self.url or os.environ.get("ANTHROPIC_BASE_URL", "")}
        )


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
