"""Raw answers live in one partition per week, made ahead of time by whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import psycopg

from b2chat_pipeline.warehouse.database import ensure_weekly_partitions

SUNDAY = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)


def add_answer(connection: psycopg.Connection[tuple[object, ...]], created_at: datetime) -> None:
    connection.execute(
        "insert into api_response_logs values ('a', 's', '/chats/export', '{}', '{}', 2, 0, %(at)s, %(at)s)",
        {"at": created_at},
    )


def partition_of_the_answer(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    (name,) = connection.execute("select tableoid::regclass::text from api_response_logs").fetchall()[0]
    return name


def test_the_week_of_now_and_those_ahead_are_made(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        made = ensure_weekly_partitions(connection, now=SUNDAY, weeks_ahead=2)

    assert made == ["api_response_logs_2026w47", "api_response_logs_2026w48", "api_response_logs_2026w49"]


def test_a_second_call_makes_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        ensure_weekly_partitions(connection, now=SUNDAY)

        assert ensure_weekly_partitions(connection, now=SUNDAY) == []


def test_weeks_begin_on_monday_in_utc_and_are_named_as_iso_counts_them(database_url: str) -> None:
    bogota = timezone(timedelta(hours=-5))
    new_year = datetime(2026, 12, 31, 20, tzinfo=bogota)
    with psycopg.connect(database_url) as connection:
        made = ensure_weekly_partitions(connection, now=new_year, weeks_ahead=1)
        bounds = connection.execute(
            "select pg_get_expr(relpartbound, oid) from pg_class where relname = any(%s) order by relname", [made]
        ).fetchall()

    assert made == ["api_response_logs_2026w53", "api_response_logs_2027w01"]
    assert bounds == [
        ("FOR VALUES FROM ('2026-12-28 00:00:00+00') TO ('2027-01-04 00:00:00+00')",),
        ("FOR VALUES FROM ('2027-01-04 00:00:00+00') TO ('2027-01-11 00:00:00+00')",),
    ]


def test_an_answer_of_a_week_without_partition_is_kept_and_moves_when_there_is_one(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        add_answer(connection, SUNDAY)
        assert partition_of_the_answer(connection) == "api_response_logs_default"

        ensure_weekly_partitions(connection, now=SUNDAY)

        assert partition_of_the_answer(connection) == "api_response_logs_2026w47"


def test_an_answer_of_the_next_week_stays_where_it_is(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        add_answer(connection, SUNDAY + timedelta(minutes=1))

        ensure_weekly_partitions(connection, now=SUNDAY, weeks_ahead=0)

        assert partition_of_the_answer(connection) == "api_response_logs_default"


def test_two_at_once_make_each_partition_once(database_url: str) -> None:
    def make(_: int) -> list[str]:
        with psycopg.connect(database_url) as connection:
            return ensure_weekly_partitions(connection, now=SUNDAY)

    with ThreadPoolExecutor(4) as pool:
        made = [name for names in pool.map(make, range(4)) for name in names]

    assert len(made) == 5
    assert len(set(made)) == 5


def test_partitions_are_made_while_a_reader_and_a_writer_are_busy(database_url: str) -> None:
    with psycopg.connect(database_url) as made_before, psycopg.connect(database_url) as busy:
        ensure_weekly_partitions(made_before, now=SUNDAY, weeks_ahead=0)
        made_before.commit()
        add_answer(busy, SUNDAY)

        made_before.execute("set lock_timeout = '2s'")
        assert len(ensure_weekly_partitions(made_before, now=SUNDAY, weeks_ahead=1)) == 1


def test_a_new_partition_has_the_key_and_the_indexes_of_the_others(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        (name,) = ensure_weekly_partitions(connection, now=SUNDAY, weeks_ahead=0)
        attached = connection.execute(
            "select count(*) from pg_index i join pg_inherits h on h.inhrelid = i.indexrelid "
            "where i.indrelid = %s::regclass",
            [name],
        ).fetchone()

    assert attached == (4,)
