"""What Dagster knows of the hours of both sides: over, loaded, failed, or about to be loaded.

Here belongs what needs Dagster's inner parts for that: its public function answers hour by hour, which takes seconds
for each asset of some years. Not here: which hours are asked for again (`policy/gaps.py`).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.partitions.subset import PartitionsSubset, TimeWindowPartitionsSubset
from dagster._core.errors import DagsterDefinitionChangedDeserializationError
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.policy.gaps import GRACE, SideHours
from b2chat_pipeline.windows import hour_starts

_OPEN = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


def hours_of_sides(
    instance: dg.DagsterInstance,
    graph: AssetGraph,
    partitions: dg.HourlyPartitionsDefinition,
    *,
    now: datetime,
) -> dict[str, SideHours]:
    """The hours of each side that ended long enough before `now`, by the side's name.

    An hour is loaded where all assets of its side are, and failed where the last run of one has failed.
    """
    newest = partitions.get_last_partition_window()
    if newest is None:
        return {side: SideHours(()) for side in SIDES}
    over = list(hour_starts(partitions.start.astimezone(UTC), min(newest.end, now - GRACE).astimezone(UTC)))
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=_OPEN))
    return {
        side: _of_side(instance, graph, partitions, [dg.AssetKey(asset) for asset in assets], backfills, over)
        for side, assets in SIDES.items()
    }


def _of_side(
    instance: dg.DagsterInstance,
    graph: AssetGraph,
    partitions: dg.HourlyPartitionsDefinition,
    assets: Sequence[dg.AssetKey],
    backfills: Sequence[PartitionBackfill],
    over: Sequence[datetime],
) -> SideHours:
    loaded, failed, held = set(over), set[datetime](), set[datetime]()
    for asset in assets:
        told = get_and_update_asset_status_cache_value(instance, asset, partitions)
        if told is None:
            loaded.clear()
        else:
            loaded &= set(_hours_in(told.deserialize_materialized_partition_subsets(partitions)))
            failed |= set(_hours_in(told.deserialize_failed_partition_subsets(partitions)))
            held |= set(_hours_in(told.deserialize_in_progress_partition_subsets(partitions)))
        for backfill in backfills:
            held |= set(_hours_of_backfill(backfill, asset, graph, partitions))
    return SideHours(over, loaded - failed - held, failed - held, held)


def _hours_of_backfill(
    backfill: PartitionBackfill,
    asset: dg.AssetKey,
    graph: AssetGraph,
    partitions: dg.HourlyPartitionsDefinition,
) -> Iterator[datetime]:
    """The hours of an asset that a backfill is to load."""
    if not backfill.is_asset_backfill:
        names = set(backfill.partition_names or ()) if backfill.job_name == "hourly_sync" else set[str]()
        yield from _hours_in(partitions.empty_subset().with_partition_keys(names))
        return
    try:
        data = backfill.get_asset_backfill_data(graph)
    except DagsterDefinitionChangedDeserializationError:
        return  # its daemon ends it for the same reason
    if asset in data.target_subset.asset_keys:
        yield from _hours_in(data.get_target_partitions_subset(asset))


def _hours_in(subset: PartitionsSubset) -> Iterator[datetime]:
    """The hours of a subset, each by its start."""
    if not isinstance(subset, TimeWindowPartitionsSubset):
        raise TypeError("only partitions by time have windows")
    for window in subset.included_time_windows:
        yield from hour_starts(window.start.astimezone(UTC), window.end.astimezone(UTC))
