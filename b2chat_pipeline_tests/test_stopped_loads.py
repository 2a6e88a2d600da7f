"""A load that is told to end, by Ctrl-C or SIGTERM: soon, with what came kept, and with the way to go on."""

import os
import re
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.resources import WarehouseResource
from b2chat_pipeline.simulator import Clock, Fault, Simulator, World
from b2chat_pipeline.simulator.expectation import expected
from b2chat_pipeline_tests.command_support import Command
from b2chat_pipeline_tests.dagster_support import account_environment
from b2chat_pipeline_tests.loading_support import stored

pytestmark = pytest.mark.any_postgres

DAY = date(2025, 3, 3)
NOW = datetime(2025, 3, 4, 18, tzinfo=UTC)
# A day makes four pages.
WORLD = World(first_day=DAY, zone=ZoneInfo("America/Bogota"), chats_per_day=700, messages_per_chat=1, contacts=20)
PAGE = 199
SOON = timedelta(seconds=10)


def signal_amid_the_third_page(number: int, simulator: Simulator, sent: list[datetime]) -> None:
    """Send this process a signal while the source is silent for the first time; notes when."""
    deadline, silences = time.monotonic() + 60, len(simulator.faults.pending())
    while len(simulator.faults.pending()) == silences and time.monotonic() < deadline:
        time.sleep(0.05)
    if len(simulator.faults.pending()) < silences:
        sent.append(datetime.now(UTC))
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("ending", "silence", "pages"),
    [(signal.SIGTERM, 1.0, 3), (signal.SIGINT, 60.0, 2)],
    ids=["SIGTERM before a page comes", "Ctrl-C while none comes"],
)
def test_it_ends_within_ten_seconds_and_goes_on_behind_the_last_page_that_came(
    b2chat: Command, database_url: str, empty_database_url: str, ending: int, silence: float, pages: int
) -> None:
    with Simulator(WORLD, clock=Clock(NOW)) as simulator, psycopg.connect(database_url, autocommit=True) as tables:
        settings = account_environment(simulator.url, database_url) | {"DAGSTER_DATABASE_URL": empty_database_url}
        hanging = Fault(kind="hang", path=CHATS, seconds=60.0)
        simulator.faults.add(replace(hanging, seconds=silence, after=2), replace(hanging, after=3))
        sent: list[datetime] = []
        killer = threading.Thread(target=signal_amid_the_third_page, args=(ending, simulator, sent))
        killer.start()
        stopped = b2chat("load", "2025-03-03", "2025-03-04", **settings)
        killer.join()
        books = tables.execute("select status, completed_at, error_message from sync_logs").fetchall()
        simulator.faults.clear()
        asked = len(simulator.requests)
        (again,) = re.findall(r"Go on with `b2chat load` from (\S+)\.\n", stopped.errors)
        went_on = b2chat("load", again, "2025-03-04", **settings)
        offsets = [int(str(it.params["offset"])) for it in simulator.requests[asked:] if it.path == CHATS]

        assert stopped.status == 75
        assert {status for status, _, _ in books} == {"error"}
        assert {error for _, _, error in books} == {"its process was told to end; what it had loaded and read is kept"}
        assert max(completed for _, completed, _ in books) - sent[0] < SOON
        assert went_on.status == 0, went_on.errors
        assert min(offsets) == pages * PAGE
        assert stored(database_url).chats == expected(WORLD, NOW, first=DAY, last=DAY).chats


def test_a_signal_that_comes_outside_of_all_steps_ends_it_too(
    b2chat: Command, database_url: str, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = account_environment("http://127.0.0.1:1", database_url) | {"DAGSTER_DATABASE_URL": empty_database_url}
    # Resources are made before the first step.
    monkeypatch.setattr(WarehouseResource, "setup_for_execution", lambda *_: os.kill(os.getpid(), signal.SIGTERM))

    stopped = b2chat("load", "2025-03-03", "2025-03-05", **settings)

    assert stopped.status == 75
    assert stopped.errors.endswith("Go on with `b2chat load` from 2025-03-03T00:00.\n")
