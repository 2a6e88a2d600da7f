"""The account that is loaded: a simulator in its own process, whose pages have been made before anything is measured.

Not here: the databases (`databases.py`), the measures.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
from b2chat_pipeline.simulator import FLAT_WEEK, Clock, Simulator, World, serve
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import hours_between, tools_for

FIRST_DAY = date(2025, 3, 3)
ZONE = ZoneInfo("America/Bogota")
NOW = datetime(2025, 3, 25, 18, 0, tzinfo=UTC)
MESSAGES_PER_CHAT = 22  # a chat's own course makes 20 of them
_PAGE = 200


@dataclass(frozen=True)
class BenchAccount:
    """A running simulator, and the days of it that a measure loads."""

    url: str
    days: int

    def hours(self) -> list[Window]:
        """All hours of its days."""
        last = FIRST_DAY + timedelta(days=self.days - 1)
        return hours_between(AccountClock(ZONE), FIRST_DAY, last, until=NOW)

    def load(self, database_url: str) -> Outcome:
        """One sync of the chats of all its days, as a run does it. Raises RuntimeError where an hour fails."""
        order = Order(
            CHATS, self.hours(), read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id="a measured run"
        )
        with tools_for(self.url, database_url, AccountClock(ZONE), now=_now) as tools:
            outcome = run_sync(order, tools)
        if outcome.status != "success":
            raise RuntimeError(f"the measured load ended with {outcome.status}: {outcome.failed}")
        return outcome

    def pages(self) -> Iterator[bytes]:
        """The bodies of all pages of its days."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            form = {"grant_type": "client_credentials"}
            token = client.post("/oauth/token", auth=("demo", "demo"), data=form).json()["access_token"]
            offset, total = 0, 1
            while offset < total:
                answer = client.get(CHATS, headers={"Authorization": f"Bearer {token}"}, params=self._params(offset))
                total = answer.raise_for_status().json()["total"]
                offset += _PAGE
                yield answer.content

    def _params(self, offset: int) -> dict[str, str | int]:
        days = (FIRST_DAY.isoformat(), (FIRST_DAY + timedelta(days=self.days - 1)).isoformat())
        return {
            "limit": _PAGE,
            "offset": offset,
            "order_dir": "asc",
            "date_range_from": days[0],
            "date_range_to": days[1],
        }


def _now() -> datetime:
    # Moves, since "newer" means read later.
    return NOW + (datetime.now(UTC) - _STARTED)


_STARTED = datetime.now(UTC)


@contextmanager
def running_account(*, chats_per_day: int, days: int) -> Iterator[BenchAccount]:
    """An account whose chats have about 20 messages each, in a process of its own, all pages made."""
    command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.account", str(chats_per_day)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the simulator's process has no output")
            account = BenchAccount(process.stdout.readline().strip(), days)
            for _ in account.pages():
                pass
            yield account
        finally:
            process.kill()


def _say_url(simulator: Simulator) -> None:
    sys.stdout.write(f"{simulator.url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    world = World(
        first_day=FIRST_DAY,
        zone=ZONE,
        chats_per_day=int(sys.argv[1]),
        messages_per_chat=MESSAGES_PER_CHAT,
        agent_started_share=0.0,
        weekly_shape=FLAT_WEEK,
    )
    serve(world, clock=Clock(NOW), on_ready=_say_url)
