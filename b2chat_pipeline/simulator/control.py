"""The `/_simulator/` endpoints, with which another process sets faults and the clock. Not part of the vendor's API."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec

from b2chat_pipeline.simulator.api import Answer, Request, json_answer
from b2chat_pipeline.simulator.clock import Clock
from b2chat_pipeline.simulator.faults import Fault, FaultBook
from b2chat_pipeline.simulator.misfits import misfits_of
from b2chat_pipeline.simulator.recording import RecordedRequest
from b2chat_pipeline.simulator.world import World

PREFIX = "/_simulator/"


class Controlled(Protocol):
    """What can be controlled: a running simulator."""

    @property
    def world(self) -> World:
        """The invented account."""

    @property
    def clock(self) -> Clock:
        """Its clock."""

    @property
    def faults(self) -> FaultBook:
        """What goes wrong."""

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked."""


def control(simulator: Controlled, request: Request) -> Answer:
    """Answer a control request; 422 with a sentence where it does not fit."""
    handler = _HANDLERS.get((request.method, request.path.removeprefix(PREFIX)))
    if handler is None:
        return json_answer(404, {"message": "Not found"})
    try:
        return handler(simulator, msgspec.json.decode(request.body) if request.body else {})
    except (ValueError, TypeError, KeyError) as error:
        return json_answer(422, {"error": str(error)})


def _add_faults(simulator: Controlled, told: Any) -> Answer:  # noqa: ANN401 - JSON as it came
    return _add_to(simulator, [Fault.from_json(it) for it in (told if isinstance(told, list) else [told])])


def _add_to(simulator: Controlled, faults: Sequence[Fault]) -> Answer:
    simulator.faults.add(*faults)
    return json_answer(200, {"faults": len(simulator.faults.pending())})


def _add_misfits(simulator: Controlled, told: dict[str, Any]) -> Answer:
    return _add_to(simulator, misfits_of(simulator.world, date.fromisoformat(told["day"])))


def _clear_faults(simulator: Controlled, _told: object) -> Answer:
    simulator.faults.clear()
    return json_answer(200, {"faults": 0})


def _requests(simulator: Controlled, _told: object) -> Answer:
    return json_answer(200, [asdict(it) for it in simulator.requests])


def _set_clock(simulator: Controlled, told: dict[str, Any]) -> Answer:
    clock = simulator.clock
    if "now" in told:
        clock.set(datetime.fromisoformat(told["now"]))
    else:
        clock.advance(timedelta(seconds=told["advance_seconds"]))
    return json_answer(200, {"now": clock.now()})


def _describe(simulator: Controlled, _told: object) -> Answer:
    world = simulator.world
    described = {
        "seed": world.seed,
        "zone": world.zone.key,
        "first_day": world.first_day,
        "chats_per_day": world.chats_per_day,
        "agent_started_share": world.agent_started_share,
        "messages_per_chat": world.messages_per_chat,
        "contacts": world.contacts,
        "weekly_shape": world.weekly_shape,
        "now": simulator.clock.now(),
    }
    return json_answer(200, described)


_HANDLERS: dict[tuple[str, str], Callable[[Controlled, Any], Answer]] = {
    ("POST", "faults"): _add_faults,
    ("POST", "misfits"): _add_misfits,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "clock"): _set_clock,
    ("GET", "requests"): _requests,
    ("GET", "world"): _describe,
}
