"""Reads all contacts at once: those too that were last updated before the hours that are loaded.

An asset of its own, so that trouble with it leaves the hours green. Not here: when it is due (`policy/`).
"""

from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.columns import table_metadata
from b2chat_pipeline.assets.shell import USER_TAG, causes, failing_in_one_sentence
from b2chat_pipeline.assets.sides import OWNERS, POOL
from b2chat_pipeline.b2chat.contract import CONTACTS
from b2chat_pipeline.policy import FullReads
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource

if TYPE_CHECKING:
    from b2chat_pipeline.ingest.all_contacts import FullRead

_DESCRIPTION = """Reads every contact of the account, whenever it was created or last updated.

**Planned** by its schedule: at first start, and when the last complete read of all contacts is 30 days ago; after one
that failed, an hour later, and after each further one twice as much later, at most a day. Its requests count as
backfill, so the fresh hour never waits for them.

**Grain**: no partitions, the whole account.

**Run again** whenever you like, beside other runs. A read that was cut off goes on where it ended, within six hours.
The hours' own assets are not touched."""


def all_contacts() -> dg.AssetsDefinition:
    """All contacts, read at once."""

    @dg.asset(
        name="all_contacts",
        deps=["contacts"],
        description=_DESCRIPTION,
        group_name="refresh",
        owners=OWNERS,
        kinds={"python", "postgres"},
        metadata=table_metadata("contacts"),
        pool=POOL,
    )
    def read_contacts(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> dg.MaterializeResult[None]:
        return _result(_read(context, warehouse, b2chat))

    return read_contacts


def reads_of_all_contacts(warehouse: WarehouseResource) -> FullReads:
    """How the reads of all contacts went up to now. Raises OperatorError where that cannot be known."""
    from b2chat_pipeline.warehouse.staleness import full_reads

    with warehouse.connect("schedule") as connection:
        return full_reads(connection, "contacts")


def _read(context: dg.AssetExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource) -> "FullRead":
    from b2chat_pipeline.ingest.all_contacts import read_all_contacts
    from b2chat_pipeline.warehouse.accounts import user_id

    with failing_in_one_sentence(), b2chat.tools(warehouse, "backfill", CONTACTS) as tools:
        user = user_id(tools.books, context.run.tags.get(USER_TAG))
        return read_all_contacts(tools, user_id=user, run_id=context.run.run_id)


def _result(read: "FullRead") -> dg.MaterializeResult[None]:
    metadata: dict[str, int | str] = {
        "received": read.counts.received,
        "inserted": read.counts.inserted,
        "updated": read.counts.updated,
        "unchanged": read.counts.unchanged,
        "quarantined": read.counts.quarantined,
        "run_requests": read.requests,
        "run_pages_read": read.pages,
        "run_sync_id": read.sync_id,
    }
    if not read.errors:
        return dg.MaterializeResult(metadata=metadata)
    raise dg.Failure(
        f"not all contacts are loaded: {read.counts.loaded} of {read.counts.received} told in {read.pages} pages."
        f" {causes(read.errors)}",
        metadata=metadata,
        # It stays due, so the schedule asks for it again.
        allow_retries=False,
    )
