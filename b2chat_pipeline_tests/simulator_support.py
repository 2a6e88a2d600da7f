"""A small world, an instant, and an authorized client, for the tests of the simulator itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from b2chat_pipeline.simulator import Clock, Simulator, World

BOGOTA = ZoneInfo("America/Bogota")
FIRST_DAY = date(2025, 3, 3)
# Wednesday of the second week, 13:00 in Bogotá.
NOW = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
SMALL = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=40)


@contextmanager
def running(
    world: World = SMALL,
    *,
    now: datetime = NOW,
    requests_per_second: float | None = None,
    requests_per_day: int | None = None,
) -> Iterator[tuple[Simulator, httpx.Client]]:
    """A simulator whose clock stands still, and a client that holds its token."""
    with (
        Simulator(
            world, clock=Clock(now), requests_per_second=requests_per_second, requests_per_day=requests_per_day
        ) as simulator,
        httpx.Client(base_url=simulator.url, timeout=5) as client,
    ):
        client.headers["Authorization"] = f"Bearer {token(client)['access_token']}"
        yield simulator, client


def token(client: httpx.Client) -> dict[str, Any]:
    """What the token endpoint answers to the right credentials."""
    answer = client.post("/oauth/token", auth=("demo", "demo"), data={"grant_type": "client_credentials"})
    return dict(answer.raise_for_status().json())


def all_chats(client: httpx.Client, *, page: int = 100, **params: str) -> list[dict[str, Any]]:
    """Every matching chat, page by page, oldest first."""
    chats: list[dict[str, Any]] = []
    while True:
        answer = client.get("/chats/export", params={"limit": page, "offset": len(chats), "order_dir": "asc", **params})
        records = answer.raise_for_status().json()["chats"]
        chats.extend(records)
        if len(records) < page:
            return chats
