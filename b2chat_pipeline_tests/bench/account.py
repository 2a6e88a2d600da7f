"""The account that is loaded: a simulator in its own process, whose pages have been made before anything is measured.

Not here: the databases (`databases.py`), the measures.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx

from b2chat_pipeline.b2chat.contract import CHATS, Endpoint
from b2chat_pipeline.ingest.sync import Order, Outcome, run_sync
from b2chat_pipeline.simulator import FLAT_WEEK, Clock, Simulator, World, serve
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import hours_between, tools_for

FIRST_DAY = date(2025, 3, 3)
ZONE = ZoneInfo("America/Bogota")
MESSAGES_PER_CHAT = 22  # a chat's own course makes 20 of them
# From the start of the last day to the account's "now": all hours are over, and most chats have ended.
_AFTERWARDS = timedelta(days=13, hours=18)
_PAGE = 200


@dataclass(frozen=True)
class BenchAccount:
    """A running simulator, and the days of it that a measure loads."""

    url: str
    days: int

    @property
    def last_day(self) -> date:
        """The last of its days."""
        return FIRST_DAY + timedelta(days=self.days - 1)

    def hours(self) -> list[Window]:
        """All hours of its days."""
        return hours_between(AccountClock(ZONE), FIRST_DAY, self.last_day, until=now_after(self.days))

    def load(self, database_url: str, endpoint: Endpoint = CHATS) -> Outcome:
        """One sync of one side of all its days, as a run does it. Raises RuntimeError where an hour fails."""
        order = Order(
            endpoint, self.hours(), read=True, load=True, user_id=SYSTEM_USER, operation="manual", run_id="measured"
        )
        with tools_for(self.url, database_url, AccountClock(ZONE), now=self._now) as tools:
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
        days = (FIRST_DAY.isoformat(), self.last_day.isoformat())
        return {
            "limit": _PAGE,
            "offset": offset,
            "order_dir": "asc",
            "date_range_from": days[0],
            "date_range_to": days[1],
        }

    def _now(self) -> datetime:
        # Moves, since "newer" means read later.
        return now_after(self.days) + (datetime.now(UTC) - _STARTED)


def now_after(days: int) -> datetime:
    """The instant at which the simulator's clock stands for an account of so many days."""
    return datetime.combine(FIRST_DAY, time(), tzinfo=UTC) + timedelta(days=days - 1) + _AFTERWARDS


_STARTED = datetime.now(UTC)


@contextmanager
def running_account(*, chats_per_day: int, days: int) -> Iterator[BenchAccount]:
    """An account whose chats have about 20 messages each, in a process of its own, all pages made."""
    command = [sys.executable, "-m", "b2chat_pipeline_tests.bench.account", str(chats_per_day), str(days)]
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
    serve(world, clock=Clock(now_after(int(sys.argv[2]))), on_ready=_say_url)
