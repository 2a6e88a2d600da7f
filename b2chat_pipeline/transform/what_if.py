"""What the share of kept promises had been, had a target been another one. Reads `chat_metrics`, writes nothing.

Elapsed time is what the chat was judged by: business seconds where its policy counts those. Not here: the verdicts that
are reported (`chat_metrics` and `sla_daily`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import LiteralString

from psycopg import Connection, sql
from psycopg.rows import class_row

from b2chat_pipeline.transform.models import ModelError
from b2chat_pipeline.transform.relations import Relation, kind_of
from b2chat_pipeline.transform.target import SCHEMA, Days

# What begins each clock, and what is told once it has ended; a chat may close without that.
_CLOCKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "pickup": ("opened_at", "picked_up_at"),
        "first_response": ("created_at", "response_at"),
        "resolution": ("created_at", "closed_day"),
    }
)
_REPORTED = "{met}"
_SUPPOSED = """
    case
        when {ended} is not null then {elapsed} <= %(seconds)s
        when {elapsed} > %(seconds)s then false
    end
"""
_COUNTED = """
    select count(*) filter (where verdict) as met,
           count(*) filter (where not verdict) as breached,
           count(*) filter (where verdict is null and not is_closed and is_started) as running,
           count(*) filter (where verdict is null and (is_closed or not is_started)) as not_judged
      from (
        select is_closed, {started} is not null as is_started, {verdict} as verdict
          from {metrics}
         where {policy} is not null and created_day between %(first)s and %(last)s
      ) as judged
"""


@dataclass(frozen=True)
class Attainment:
    """Inbound chats under a policy, by what became of one of their clocks."""

    met: int
    breached: int
    # Still open, and not finished.
    running: int
    # Closed within the target without the clock's end, or with times that are not known or cannot be right.
    not_judged: int

    @property
    def chats(self) -> int:
        """All of them."""
        return self.met + self.breached + self.running + self.not_judged

    @property
    def share(self) -> float | None:
        """Met of those that are finished; None where none is."""
        finished = self.met + self.breached
        return self.met / finished if finished else None


def what_if(connection: Connection, clock: str, seconds: int, days: Days) -> tuple[Attainment, Attainment]:
    """The attainment of a clock as reported, and with a target of so many seconds, of chats created on some days.

    Raises ModelError where chat_metrics is not built.
    """
    metrics = Relation(SCHEMA, "chat_metrics")
    if kind_of(connection, metrics) is None:
        raise ModelError("there are no chat_metrics to judge: run `b2chat build` first.")
    started, ended = _CLOCKS[clock]
    names = {
        "started": sql.Identifier(started),
        "ended": sql.Identifier(ended),
        "met": sql.Identifier(f"sla_{clock}_met"),
        "elapsed": sql.Identifier(f"sla_{clock}_elapsed_seconds"),
        "policy": sql.Identifier(f"sla_{clock}_policy"),
    }
    values = {"seconds": seconds, "first": days.first, "last": days.last}

    def counted(verdict: LiteralString) -> Attainment:
        statement = sql.SQL(_COUNTED).format(
            metrics=metrics.identifier, verdict=sql.SQL(verdict).format(**names), **names
        )
        with connection.cursor(row_factory=class_row(Attainment)) as cursor:
            return cursor.execute(statement, values).fetchall()[0]

    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        return counted(_REPORTED), counted(_SUPPOSED)
