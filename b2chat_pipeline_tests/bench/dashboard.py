"""The dashboard query of the data dictionary, as it is shipped, over 1.8 million chats: five years of a thousand a day.

The years end today, since the query asks for the last thirty days.
"""

from datetime import UTC, datetime, timedelta
from time import perf_counter

from b2chat_pipeline.transform.project import models_folder
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.bench.databases import production_server
from b2chat_pipeline_tests.bench.invented_year import DAYS, make_chats
from b2chat_pipeline_tests.bench.report import Measure

_DAYS = 5 * DAYS
_TIMES = 20


def measure_dashboard(rounds: int, *, chats_per_day: int) -> list[Measure]:
    """One measure: milliseconds of one call, each round twenty of them."""
    with production_server() as server, server.database(migrated=True) as url:
        first_day = datetime.now(UTC).date() - timedelta(days=_DAYS - 1)
        make_chats(url, per_day=chats_per_day, days=_DAYS, first_day=first_day)
        return measure_query(url, rounds)


def measure_query(url: str, rounds: int) -> list[Measure]:
    """The measure on a warehouse with invented chats that end today."""
    query = (models_folder() / "analyses" / "chat_dashboard.sql").read_bytes()
    with connect(url, purpose="bench") as connection:
        row = connection.execute("select count(*) from chats").fetchone()
        # The first call finds cold files.
        agents = len(connection.execute(query).fetchall())
        seen: list[float] = []
        for _ in range(rounds * _TIMES):
            started = perf_counter()
            connection.execute(query).fetchall()
            seen.append(1000 * (perf_counter() - started))
    what = f"{row[0] if row else 0:,} chats, {agents} agents"
    medians = [sorted(seen[at : at + _TIMES])[_TIMES // 2] for at in range(0, len(seen), _TIMES)]
    return [Measure("dashboard_query", "the dictionary's dashboard query, in ms", 30, "less", medians, what)]
