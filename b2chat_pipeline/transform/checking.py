"""Runs the tests of models: queries for rows that should not exist."""

from dataclasses import dataclass

from psycopg import Connection, sql

from b2chat_pipeline.transform.models import DataTest
from b2chat_pipeline.transform.relations import explained, query
from b2chat_pipeline.transform.target import Days, Target


@dataclass(frozen=True)
class Checked:
    """What a test found."""

    test: DataTest
    failing: int

    @property
    def passed(self) -> bool:
        """Whether no row breaks it."""
        return not self.failing

    @property
    def blocks(self) -> bool:
        """Whether what depends on the model must not be built from it."""
        return not self.passed and self.test.severity == "error"


def check(connection: Connection, target: Target, test: DataTest, days: Days | None) -> Checked:
    """Count the rows that break a test, of some days where rows are judged one by one, else of all.

    Raises ModelError where its SQL fails, and psycopg.OperationalError where the database goes away.
    """
    counted = sql.SQL("select count(*) from (\n{}\n) failing").format(query(target.sql_of_test(test, days)))
    with explained(connection, test.place):
        row = connection.execute(counted).fetchone()
    return Checked(test, row[0] if row else 0)
