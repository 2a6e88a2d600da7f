"""The two sides of the API as assets: chats with everything inside them, and contacts.

Each side is one step. Dagster skips the steps below a failed one for all hours of a run, whichever of them are good;
inside one step, good hours are credited and the bad ones named. Both sides have the same hours and the same backfill
policy, so they can share a run.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from b2chat_pipeline.assets.columns import table_metadata
from b2chat_pipeline.assets.shell import sync_hours
from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.policy.loads import HOURS_PER_RUN
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource

# The assets of each side, each after those it depends on; the first is its pages.
SIDES: Mapping[str, tuple[str, ...]] = {
    "chats": ("chat_pages", "departments", "agents", "chats", "messages"),
    "contacts": ("contact_pages", "contacts"),
}
ENDPOINTS: Mapping[str, Endpoint] = {"chats": CHATS, "contacts": CONTACTS}
ASSETS = tuple(asset for side in SIDES.values() for asset in side)
POOL = "b2chat_api"
OWNERS = ["team:data-engineering"]

_RERUN = (
    "\n\n**Run again** whenever you like: any hours, in any order, beside other runs. Equal rows are left alone, newer"
    " answers win, nothing is deleted. Without the pages selected, the hours are loaded from the stored pages."
    "\n\n**Before a long backfill** the job `load_plan` tells what it will take."
)


def chats_side(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Pages of /chats/export, and the four tables that come out of them."""
    specs = [
        _spec("chat_pages", [], "api_response_logs", "Pages of `/chats/export` as received, with their checkpoints."),
        _spec(
            "departments",
            ["chat_pages"],
            "departments",
            "One row per department that a chat has named. A renamed one is a new row: the API gives no id.",
        ),
        _spec(
            "agents",
            ["chat_pages", "departments"],
            "agents",
            "One row per user name seen as a chat's agent, with the department of the newest chat that names one.",
        ),
        _spec(
            "chats",
            ["chat_pages", "agents", "departments"],
            "chats",
            "One row per conversation created in the hour. Closings and tags come later: see `sync_version`.",
        ),
        _spec(
            "messages",
            ["chats"],
            "messages",
            "One row per message told of the hour's chats. Of chats that an agent started, the API tells none.",
        ),
    ]
    return _side("chats_side", CHATS, specs, partitions)


def contacts_side(partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    """Pages of /contacts/export, and the contacts that come out of them."""
    specs = [
        _spec(
            "contact_pages", [], "api_response_logs", "Pages of `/contacts/export` as received, with their checkpoints."
        ),
        _spec(
            "contacts",
            ["contact_pages"],
            "contacts",
            "One row per contact updated in the hour, in full. Contacts known from chats only are rows too, but stubs.",
        ),
    ]
    return _side("contacts_side", CONTACTS, specs, partitions)


def _side(
    name: str, endpoint: Endpoint, specs: Sequence[dg.AssetSpec], partitions: dg.HourlyPartitionsDefinition
) -> dg.AssetsDefinition:
    """One step for the assets of one endpoint; the first of them is its pages."""
    assets = [spec.key.to_user_string() for spec in specs]

    @dg.multi_asset(
        name=name,
        specs=specs,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(HOURS_PER_RUN),
        can_subset=True,
        pool=POOL,
    )
    def load_side(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        yield from sync_hours(context, warehouse, b2chat, endpoint=endpoint, assets=assets)

    return load_side


def _spec(key: str, deps: Sequence[str], table: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=list(deps),
        description=f"{description}\n\n**Grain** of a partition: one hour, in the account's time zone.{_RERUN}",
        group_name="ingest",
        owners=OWNERS,
        kinds={"python", "postgres"},
        metadata=table_metadata(table),
    )
