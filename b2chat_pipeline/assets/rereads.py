"""Reads days again whose chats may have changed: the API tells of changes in no other way.

An asset of its own, so that a re-read that fails leaves the hours that were loaded before green. Not here: which days
are due (`policy/`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.columns import table_metadata
from b2chat_pipeline.assets.shell import USER_TAG, causes, failing_in_one_sentence
from b2chat_pipeline.assets.sides import OWNERS, POOL
from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.partitions import hours_so_far, windows_of
from b2chat_pipeline.policy import RereadPlan, operation, reread_class
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.windows import AccountClock, Window, hours_of

if TYPE_CHECKING:
    from b2chat_pipeline.ingest.rereads import Staleness
    from b2chat_pipeline.ingest.sync import Outcome, Tools

# A run that dies takes no more days with it.
DAYS_PER_RUN = 7
# Days left out that the metadata names one by one; the rest are counted.
NAMED_DAYS = 12

_DESCRIPTION = """Reads all chats of a creation day again, today's too: closings, tags, agents and late messages.

**Planned** by its schedule. A day is read again while a chat of it is not closed, or changed less than two days before
its last read: at most 3 hours apart up to 35 days of age, weekly up to 180 days, then never. Where that does not fit
into the share of requests for re-reads, the longest unread day comes first, and the promise shown grows.

**Metadata**, as of the moment the run began: `staleness_hours` is how old the day's state was, `promised_hours` how old
it may get, `oldest_hours` how old the oldest state of any day was; `unsettled_days` may still change, `due_days` were
due, and `left_out` says which others could not be read and why. `share_used` is what re-reads used of `share` today.

**Grain** of a partition: one day, in the account's time zone.

**Run again** whenever you like: any days, in any order, beside other runs; what is asked for by hand counts as history
filled in, and leaves the share of re-reads alone. The hours' own assets are not touched."""


@dataclass(frozen=True)
class _Reread:
    """A run over some days, by partition key: their hours that are over, what was known before, what came of it."""

    hours: Mapping[str, list[Window]]
    days: Mapping[str, date]
    before: "Staleness"
    outcome: "Outcome"
    share_used: int
    now: datetime

    def failed(self, key: str) -> list[Exception]:
        """Why hours of a day were not read again."""
        return [error for hour in self.hours[key] if (error := self.outcome.failed.get(hour.start))]

    def metadata(self, key: str) -> dict[str, int | float]:
        """What a day's re-read promised and brought; staleness in hours, as it was when the read began."""
        day = self.days[key]
        counts = [self.outcome.counts.get(hour.start, {}).get("chats") for hour in self.hours[key]]
        metadata: dict[str, int | float] = {
            "dagster/partition_row_count": sum(count.loaded for count in counts if count),
            "changed_chats": sum(count.updated for count in counts if count),
            "new_chats": sum(count.inserted for count in counts if count),
        }
        if (known := self.before.days.get(day)) is not None:
            metadata["staleness_hours"] = _hours(self.now - known.last_read)
        if (promised := self.before.plan.promised.get(day)) is not None:
            metadata["promised_hours"] = _hours(promised)
        return metadata

    def summary(self) -> dict[str, int | float | str]:
        """What the run cost, and how it stood with all days when it began."""
        plan = self.before.plan
        left_out = [f"{day}: {why}" for day, why in plan.left_out.items() if day not in self.days.values()]
        more = f" and {len(left_out) - NAMED_DAYS} more" if len(left_out) > NAMED_DAYS else ""
        summary: dict[str, int | float | str] = {
            # Named after the run: they stand at each of its days.
            "run_days": len(self.hours),
            "run_requests": self.outcome.requests,
            "run_pages_read": self.outcome.pages,
            "run_sync_id": self.outcome.sync_id,
            "unsettled_days": len(plan.promised),
            "due_days": len(plan.due) + len(plan.left_out),
            "left_out": ("; ".join(left_out[:NAMED_DAYS]) or "none") + more,
            "oldest_hours": _hours(self.before.oldest(self.now)),
        }
        if self.before.budget is not None:
            summary |= {"share": self.before.budget.share, "share_used": self.share_used}
        return summary


def chat_updates(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Creation days, read again."""

    spec = dg.AssetSpec(
        "chat_updates",
        deps=[dg.AssetDep(table, partition_mapping=hours_so_far()) for table in ("chats", "messages")],
        description=_DESCRIPTION,
        group_name="refresh",
        owners=OWNERS,
        kinds={"python", "postgres"},
        metadata=table_metadata("chats"),
    )

    @dg.multi_asset(
        name="chat_updates",
        specs=[spec],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_PER_RUN),
        pool=POOL,
    )
    def update_chats(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with failing_in_one_sentence(), b2chat.tools(warehouse, reread_class(context.run.tags), CHATS) as tools:
            reread = _reread(context, tools, per_day=b2chat.requests_per_day(tools.books))
        yield _result(context, reread)

    return update_chats


def plan_at(warehouse: WarehouseResource, b2chat: B2ChatResource, at: datetime) -> RereadPlan:
    """The days to read again at a moment. Raises OperatorError where that cannot be known."""
    from b2chat_pipeline.ingest.rereads import staleness

    with warehouse.connect("schedule") as connection:
        per_day = b2chat.requests_per_day(connection)
        return staleness(connection, AccountClock(b2chat.account().zone), per_day=per_day, now=at).plan


def _reread(context: dg.AssetExecutionContext, tools: "Tools", *, per_day: int) -> _Reread:
    from b2chat_pipeline.ingest.rereads import staleness
    from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
    from b2chat_pipeline.warehouse.accounts import user_id
    from b2chat_pipeline.warehouse.staleness import requests_sent

    now, tags = tools.now(), context.run.tags
    windows = windows_of(context.assets_def.partitions_def, context.partition_keys)
    hours = {key: hours_of(window, until=now) for key, window in windows.items()}
    before = staleness(tools.books, tools.clock, per_day=per_day, now=now)
    order = Order(
        endpoint=CHATS,
        hours=[hour for each in hours.values() for hour in each],
        read=True,
        load=True,
        user_id=user_id(tools.books, tags.get(USER_TAG)),
        operation=operation(tags),
        run_id=context.run.run_id,
    )
    # Of a day that has just begun, there is nothing to read again.
    outcome = run_sync(order, tools) if order.hours else Outcome(sync_id="")
    days = {key: tools.clock.day_of(window.start) for key, window in windows.items()}
    used = requests_sent(tools.books, tools.clock.day_of(tools.now()))["reread"]
    return _Reread(hours, days, before, outcome, used, now)


def _hours(span: timedelta) -> float:
    return round(span / timedelta(hours=1), 2)


def _result(context: dg.AssetExecutionContext, reread: _Reread) -> dg.MaterializeResult[None]:
    """Credit the days that were read again; fails naming the others."""
    summary = reread.summary()
    bad = {key: errors for key in reread.hours if (errors := reread.failed(key))}
    if not bad:
        for key in reread.hours:
            # The day's own figures first. What the result holds, Dagster would show before them.
            context.add_asset_metadata({**reread.metadata(key), **summary}, "chat_updates", partition_key=key)
        return dg.MaterializeResult(asset_key="chat_updates")
    for key in reread.hours.keys() - bad.keys():
        metadata = reread.metadata(key)
        context.log_event(dg.AssetMaterialization("chat_updates", partition=key, metadata=metadata))
    why = causes(error for errors in bad.values() for error in errors)
    raise dg.Failure(
        f"{len(bad)} of {len(reread.hours)} days were not read again: {', '.join(bad)}. {why}",
        metadata=summary,
        # Days that failed are still due, so the schedule asks for them again.
        allow_retries=False,
    )
