"""How long a change at the source takes to show in the tables, on the simulator's clock with both schedules on."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.policy import request_share
from b2chat_pipeline.simulator import FLAT_WEEK, World
from b2chat_pipeline_tests.staleness_support import life

pytestmark = pytest.mark.any_postgres

WORLD = World(first_day=date(2025, 3, 3), zone=ZoneInfo("America/Bogota"), chats_per_day=20, weekly_shape=FLAT_WEEK)
# A Friday at seven in the morning, after forty days.
NOW = datetime(2025, 4, 11, 12, 0, tzinfo=UTC)
PER_DAY = 10_000


def test_every_change_shows_within_three_hours_and_rereads_keep_to_their_share(database_url: str) -> None:
    with life(database_url, WORLD, now=NOW, per_day=PER_DAY) as pipeline:
        pipeline.live(NOW + timedelta(hours=8))

        assert len(pipeline.watch.lags) > 50
        assert pipeline.longest_lag() <= timedelta(hours=3)
        assert pipeline.kept
        assert all(age <= promised for age, promised in pipeline.kept)
        spent = pipeline.spent()
        assert 0 < spent[date(2025, 4, 11)]["reread"] <= request_share("reread", PER_DAY)
        assert {day: sum(kinds.values()) for day, kinds in spent.items()} == pipeline.received()
