"""Database addresses are taken in every usual form, and the database they name is made where it is missing."""

import re
from os import dup
from pathlib import Path
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE, TCP_KEEPINTVL, socket
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from b2chat_pipeline.settings import Storage
from b2chat_pipeline.warehouse.address import psycopg_url, sqlalchemy_url
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.database import ensure_database
from b2chat_pipeline.warehouse.location import warehouse_place
from b2chat_pipeline_tests.postgres import PostgresServer
from b2chat_pipeline_tests.postgres_proxy import proxied


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"])
@pytest.mark.parametrize("rest", ["u:p%40ss@host:5433/name?sslmode=require", "u@/name?host=/some/where"])
def test_every_usual_form_becomes_the_one_a_driver_wants(scheme: str, rest: str) -> None:
    assert psycopg_url(f"{scheme}://{rest}") == f"postgresql://{rest}"
    assert sqlalchemy_url(f"{scheme}://{rest}") == f"postgresql+psycopg://{rest}"


def test_the_socket_form_reaches_sqlalchemy_as_a_host() -> None:
    assert make_url(sqlalchemy_url("postgresql://u@/name?host=/some/where")).query == {"host": "/some/where"}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+psycopg2://u:s%40cret@db.example.test:5433/name", "database name at db.example.test:5433"),
        ("postgres://u:secret@/name?host=/some/where", "database name at /some/where"),
        ("postgresql:///name", "database name at the local server"),
        (None, "the embedded PostgreSQL in /data"),
    ],
)
def test_a_warehouse_is_named_without_user_and_password(url: str | None, place: str) -> None:
    assert warehouse_place(Storage(Path("/data"), url, None)) == place


@pytest.mark.parametrize("url", ["mysql://u:secret@host/name", "host=somewhere password=secret", ""])
def test_another_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as refusal:
        psycopg_url(url)

    assert "secret" not in str(refusal.value)


def test_a_missing_database_is_made_and_an_existing_one_is_left_alone(postgres_server: PostgresServer) -> None:
    name = f"made_{uuid4().hex[:8]}"
    url = postgres_server.url(name)
    ensure_database(url)
    with psycopg.connect(url) as connection:
        connection.execute("create table kept ()")

    ensure_database(url)

    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from pg_class where relname = 'kept'").fetchone() == (1,)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_an_address_without_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("/NAME")):
        ensure_database("postgresql://u@host")


@pytest.mark.parametrize(("of_its_own", "idle"), [("", 30), ("&keepalives_idle=77", 77)])
def test_a_connection_to_a_server_that_is_gone_without_a_word_is_noticed(
    of_its_own: str, idle: int, database_url: str
) -> None:
    with (
        proxied(database_url) as proxy,
        connect(f"{proxy.url}{of_its_own}", purpose="read") as connection,
        socket(fileno=dup(connection.fileno())) as its_socket,
    ):
        assert its_socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE) == 1
        assert its_socket.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE) == idle
        assert its_socket.getsockopt(IPPROTO_TCP, TCP_KEEPINTVL) == 10
