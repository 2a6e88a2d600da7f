"""Whatever a row holds comes back from PostgreSQL as it was."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.write import copy_rows

# What PostgreSQL's text takes.
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\\", "\\N", "NULL", "\t\r\n", '"', "{,}", '\\"', " "]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


class Row(NamedTuple):
    a_text: str | None
    texts: list[str]
    some_bytes: bytes | None
    number: int | None
    truth: bool | None
    instant: datetime | None
    anything: Any


@given(
    rows=st.lists(
        st.builds(
            Row,
            st.none() | TEXTS,
            st.lists(TEXTS, max_size=4),
            st.none() | st.binary(max_size=20),
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.booleans(),
            st.none() | INSTANTS,
            VALUES,
        ),
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_comes_back_as_it_was(database_url: str, rows: list[Row]) -> None:
    with connect(database_url, purpose="test") as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "create temp table copied (a_text text, texts text[], some_bytes bytea, number integer, truth boolean,"
            " instant timestamptz, anything jsonb, place integer generated always as identity)"
        )
        copy_rows(connection, "copied", Row._fields, [row._replace(anything=Jsonb(row.anything)) for row in rows])
        stored = connection.execute(
            "select a_text, texts, some_bytes, number, truth, instant, anything from copied order by place"
        ).fetchall()
    assert [Row(*row) for row in stored] == rows


def test_more_rows_than_are_given_at_once_all_arrive(database_url: str) -> None:
    class Numbered(NamedTuple):
        number: int

    with connect(database_url, purpose="test") as connection, connection.transaction(force_rollback=True):
        connection.execute("create temp table copied (number integer)")
        copy_rows(connection, "copied", ["number"], (Numbered(number) for number in range(1_001)))
        assert connection.execute("select count(*), sum(number) from copied").fetchone() == (1_001, 500_500)
