"""Tells Dagster of the partitions of a run (hours, or days), all of an asset at once.

Here belongs what needs Dagster's inner parts for that: its public functions take one of them at a time, and do for each
what a run over thousands cannot afford. Not here: what their metadata says (`shell.py`, `models.py`).
"""

from collections.abc import Mapping
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEventBatchMetadata
from dagster._core.execution.context.metadata_logging import (
    AssetMetadataHandle,
    OutputMetadataAccumulator,
    OutputMetadataHandle,
)

# The metadata of each partition, by its key.
Partitions = Mapping[str, Mapping[str, int | float | str]]


def attach_metadata(context: dg.AssetExecutionContext, of_assets: Mapping[str, Partitions]) -> None:
    """Give the partitions of each asset their own metadata, which the results of the step will carry.

    `context.add_asset_metadata` copies and checks what all others were given each time.
    """
    by_handle: dict[AssetMetadataHandle | OutputMetadataHandle, Mapping[str, int | float | str]] = {
        AssetMetadataHandle(asset_key=dg.AssetKey(asset), partition_key=key): metadata
        for asset, partitions in of_assets.items()
        for key, metadata in partitions.items()
    }
    step = context.get_step_execution_context()
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=by_handle)  # noqa: SLF001


def credit(context: dg.AssetExecutionContext, asset: str, partitions: Partitions) -> None:
    """Record that these partitions of an asset are materialized, whatever becomes of the step.

    `context.log_event` writes each one in transactions of its own, not in a batch.
    """
    step, batch = context.get_step_execution_context(), uuid4().hex
    for place, (key, metadata) in enumerate(partitions.items(), start=1):
        materialization = dg.AssetMaterialization(asset, partition=key, metadata=metadata)
        dg.DagsterEvent.asset_materialization(
            step, materialization, DagsterEventBatchMetadata(batch, is_end=place == len(partitions))
        )
