"""A local B2Chat: it answers as the vendor's API does, from an invented account, with faults on demand.

In `claude/`, a stand-in for Claude's API at the same address.

Used by the demo, the tests and the benchmarks. Nothing here is imported by the pipeline.
"""

from b2chat_pipeline.simulator.clock import Clock
from b2chat_pipeline.simulator.faults import (
    Fault,
    FaultBook,
    FaultKind,
    dropped_record,
    inserted_record,
    mutated_records,
    rewritten_body,
    vanished_record,
)
from b2chat_pipeline.simulator.recording import RecordedRequest
from b2chat_pipeline.simulator.server import Simulator, serve
from b2chat_pipeline.simulator.world import FLAT_WEEK, OFFICE_WEEK, World

__all__ = [
    "FLAT_WEEK",
    "OFFICE_WEEK",
    "Clock",
    "Fault",
    "FaultBook",
    "FaultKind",
    "RecordedRequest",
    "Simulator",
    "World",
    "dropped_record",
    "inserted_record",
    "mutated_records",
    "rewritten_body",
    "serve",
    "vanished_record",
]
