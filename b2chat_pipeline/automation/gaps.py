"""The sensor that has hours loaded which are missing or failed. Not here: which ones are due (`policy/gaps.py`)."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from b2chat_pipeline.assets.gaps import GAP_TAG, plan_gaps_at
from b2chat_pipeline.assets.hours import hours_of_sides
from b2chat_pipeline.assets.sides import SIDES
from b2chat_pipeline.automation.sensors import sensor
from b2chat_pipeline.partitions import range_tags
from b2chat_pipeline.policy.gaps import Gap, GapPlan
from b2chat_pipeline.resources import B2ChatResource, WarehouseResource, utc_now
from b2chat_pipeline.settings import OperatorError, check_all

GAPS = "gaps"
# Seconds between two looks.
LOOK_EVERY = 300


def gap_sensor(
    partitions: dg.HourlyPartitionsDefinition, *, clock: Callable[[], datetime] = utc_now
) -> dg.SensorDefinition:
    """Requests the hours that are missing or failed, the newest first; on from the first start."""

    @sensor(
        GAPS,
        job_name="hourly_sync",
        every=LOOK_EVERY,
        description="Has hours loaded that failed, or are missing after others that were loaded; the newest first.",
    )
    def hours_that_are_missing(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource, b2chat: B2ChatResource
    ) -> Sequence[dg.RunRequest] | dg.SkipReason:
        try:
            check_all(os.environ)
            now = clock()
            sides = hours_of_sides(context.instance, _graph(context), partitions, now=now)
            plan = plan_gaps_at(context.instance, warehouse, b2chat, partitions, sides, now=now)
        except OperatorError as error:
            return dg.SkipReason(str(error))
        return [_request(gap, partitions) for gap in plan.due] or dg.SkipReason(_why_not(plan))

    return hours_that_are_missing


def _graph(context: dg.SensorEvaluationContext) -> AssetGraph:
    if context.repository_def is None:
        raise TypeError("this sensor decides with its repository at hand")
    return context.repository_def.asset_graph


def _request(gap: Gap, partitions: dg.HourlyPartitionsDefinition) -> dg.RunRequest:
    """One run. What was asked for in vain is asked for under another key, which Dagster would else pass over."""
    first, last = (
        partitions.get_partition_key_for_timestamp(hour.timestamp()) for hour in (gap.hours[0], gap.hours[-1])
    )
    return dg.RunRequest(
        run_key=f"{gap.side} {first}..{last} attempt {gap.attempt}",
        asset_selection=[dg.AssetKey(asset) for asset in SIDES[gap.side]],
        tags={**range_tags(first, last), GAP_TAG: gap.side},
    )


def _why_not(plan: GapPlan) -> str:
    if not plan.left_out:
        return "No hour is missing and none has failed."
    return "; ".join(f"{hours} hours of {why}" for why, hours in plan.left_out.items()) + "."
