"""Runs one sync for the hours of a Dagster run, and turns its outcome into events.

Here belongs the translation between Dagster and the library, once for all assets. Not here: any decision about data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import dagster as dg

from b2chat_pipeline.assets.materializations import attach_metadata, credit
from b2chat_pipeline.b2chat.contract import Endpoint
from b2chat_pipeline.b2chat.errors import B2ChatError
from b2chat_pipeline.partitions import windows_of
from b2chat_pipeline.policy import operation, request_class
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.windows import Window

if TYPE_CHECKING:
    from b2chat_pipeline.ingest.sync import Outcome

# The run tag that names who launched a run by hand (an e-mail).
USER_TAG = "b2chat/user"
# The metadata of a failure that tells the type of the error.
ERROR_CODE = "error_code"
# Bad hours that a failure names one by one; the rest are counted.
NAMED_HOURS = 12


@dataclass(frozen=True)
class SideRun:
    """What one run was asked for on one side of the API."""

    endpoint: Endpoint
    pages_asset: str
    selected: list[str]
    windows: Mapping[str, Window]

    @property
    def reads(self) -> bool:
        """Whether pages are read, or the stored ones loaded."""
        return self.pages_asset in self.selected

    @property
    def loads(self) -> bool:
        """Whether any table is selected. A run writes all that one needs; only the selected are credited."""
        return self.selected != [self.pages_asset]


def sync_hours(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    b2chat: B2ChatResource,
    *,
    endpoint: Endpoint,
    assets: Sequence[str],
) -> Iterator[dg.MaterializeResult[None]]:
    """Sync the run's hours, credit each selected asset with those that are done, and fail naming the others.

    `assets` are the side's assets, each after those it depends on; the first is its pages.
    """
    selected = [asset for asset in assets if dg.AssetKey(asset) in context.selected_asset_keys]
    windows = windows_of(context.assets_def.partitions_def, context.partition_keys)
    side = SideRun(endpoint, assets[0], selected, windows)
    context.log.info(f"{endpoint}: {len(windows)} hours from {min(windows)} to {max(windows)}")
    started = perf_counter()
    outcome = _sync(context, warehouse, b2chat, side)
    summary: dict[str, int | float | str] = {
        # Named after the run: they stand at each of its hours.
        "run_hours": len(windows),
        "run_requests": outcome.requests,
        "run_pages_read": outcome.pages,
        "run_seconds": round(perf_counter() - started, 2),
        "run_sync_id": outcome.sync_id,
    }
    context.log.info(f"{endpoint}: {len(outcome.told)} hours done, {len(outcome.failed)} failed: {summary}")
    if outcome.failed:
        # What is done stays green although the step is about to fail.
        done = [key for key, window in windows.items() if window.start in outcome.told]
        for asset in side.selected:
            credit(context, asset, _metadata(side, asset, done, outcome))
        raise _failure(side, outcome, summary)
    # The hour's own figures first. What a result holds, Dagster would show before them.
    told = {
        asset: {key: {**own, **summary} for key, own in _metadata(side, asset, windows, outcome).items()}
        for asset in side.selected
    }
    attach_metadata(context, told)
    for asset in side.selected:
        yield dg.MaterializeResult(asset_key=asset)


def _sync(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, b2chat: B2ChatResource, side: SideRun
) -> "Outcome":
    from b2chat_pipeline.ingest.sync import Order, run_sync
    from b2chat_pipeline.warehouse.accounts import user_id

    tags = context.run.tags
    with failing_in_one_sentence(), b2chat.tools(warehouse, request_class(tags), side.endpoint) as tools:
        order = Order(
            endpoint=side.endpoint,
            hours=list(side.windows.values()),
            read=side.reads,
            load=side.loads,
            user_id=user_id(tools.books, tags.get(USER_TAG)),
            operation=operation(tags),
            run_id=context.run.run_id,
        )
        return run_sync(order, tools)


@contextmanager
def failing_in_one_sentence() -> Iterator[None]:
    """What an operator has to put right first ends the step with the one sentence that says so.

    So does what nobody foresaw: the text of a library, such as PostgreSQL's "failing row contains", may quote a record,
    and Dagster would keep it for all to read.
    """
    from b2chat_pipeline.warehouse.books import error_text

    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        told = str(error) if isinstance(error, OperatorError | B2ChatError) else error_text(error)
        raise dg.Failure(told, metadata={ERROR_CODE: type(error).__name__}, allow_retries=False) from None


def causes(errors: Iterable[Exception]) -> str:
    """The sentences of some errors, each once."""
    return " ".join(dict.fromkeys(str(error) for error in errors))


def _metadata(side: SideRun, asset: str, keys: Iterable[str], outcome: "Outcome") -> dict[str, dict[str, int]]:
    """Counts of some hours, by their keys."""
    return {key: _hour_metadata(side, asset, key, outcome) for key in keys}


def _hour_metadata(side: SideRun, asset: str, key: str, outcome: "Outcome") -> dict[str, int]:
    """Counts of one hour; numbers, so that Dagster plots them over the hours."""
    hour = side.windows[key].start
    if asset == side.pages_asset:
        return {"dagster/partition_row_count": outcome.told[hour]}
    counts = outcome.counts.get(hour, {}).get(asset)
    if counts is None:
        return {"dagster/partition_row_count": 0, "received": 0, "inserted": 0, "updated": 0, "quarantined": 0}
    return {
        "dagster/partition_row_count": counts.loaded,
        "received": counts.received,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "quarantined": counts.quarantined,
    }


def _failure(side: SideRun, outcome: "Outcome", summary: Mapping[str, int | float | str]) -> dg.Failure:
    bad = {key: outcome.failed[window.start] for key, window in side.windows.items() if window.start in outcome.failed}
    named = ", ".join(list(bad)[:NAMED_HOURS]) + (
        f" and {len(bad) - NAMED_HOURS} more" if len(bad) > NAMED_HOURS else ""
    )
    return dg.Failure(
        f"{len(bad)} of {len(side.windows)} hours of {side.endpoint} are not loaded: {named}. {causes(bad.values())}",
        metadata={**summary, "failed_hours": dg.MetadataValue.json(list(bad))},
        # Retrying is for crashes; an hour that failed is asked for again when its cause is gone.
        allow_retries=False,
    )
