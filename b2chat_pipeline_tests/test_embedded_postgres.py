"""The embedded server runs while somebody holds it, and survives whatever ends its holders."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest

from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.warehouse.postgres_cluster import PostgresError
from b2chat_pipeline_tests.postgres import FAST, chosen_programs

_HOLDER = """
import sys
from pathlib import Path
from b2chat_pipeline_tests.test_embedded_postgres import held
with held(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


def held(directory: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(directory, programs=chosen_programs(), settings=FAST)


@contextmanager
def another_holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", _HOLDER, str(directory)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process


def answer(server: EmbeddedPostgres) -> object:
    with psycopg.connect(server.url("postgres")) as connection:
        row = connection.execute("select 42").fetchone()
    return row and row[0]


def postmaster_pid(directory: Path) -> int:
    return int((directory / "postgres" / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while EmbeddedPostgres(directory).is_running():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_runs_while_held_and_keeps_its_data(server_directory: Path) -> None:
    with held(server_directory) as server:
        with psycopg.connect(server.url("postgres")) as connection:
            connection.execute("create table kept (value int)")
        assert EmbeddedPostgres(server_directory).is_running()

    assert not EmbeddedPostgres(server_directory).is_running()
    with held(server_directory) as server, psycopg.connect(server.url("postgres")) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_letting_go_leaves_it_to_the_other_holders(server_directory: Path) -> None:
    first, second = held(server_directory), held(server_directory)
    first.start()
    second.start()

    assert first.stop() is False
    assert answer(second) == 42
    assert second.stop() is True
    assert not EmbeddedPostgres(server_directory).is_running()


def test_a_stop_in_another_process_does_not_end_it_here(server_directory: Path) -> None:
    with held(server_directory) as server:
        with another_holder(server_directory) as process:
            process.communicate()

        assert process.returncode == 0
        assert answer(server) == 42
    assert not EmbeddedPostgres(server_directory).is_running()


def test_a_stop_here_does_not_end_it_in_another_process(server_directory: Path) -> None:
    server = held(server_directory)
    with another_holder(server_directory) as process:
        server.start()
        assert server.stop() is False
        assert answer(server) == 42

        process.communicate()
    assert not EmbeddedPostgres(server_directory).is_running()


def test_a_killed_holder_does_not_keep_it_running(server_directory: Path) -> None:
    with another_holder(server_directory) as process:
        process.kill()
    assert EmbeddedPostgres(server_directory).is_running()

    with held(server_directory) as server:
        assert answer(server) == 42
    assert not EmbeddedPostgres(server_directory).is_running()


def test_a_killed_server_is_started_again_with_what_was_committed(server_directory: Path) -> None:
    server = EmbeddedPostgres(server_directory, programs=chosen_programs())
    server.start()
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("create table kept as select 1 as value")
    os.kill(postmaster_pid(server_directory), signal.SIGKILL)
    wait_until_gone(server_directory)
    server.stop()

    with server, psycopg.connect(server.url("postgres")) as connection:
        assert connection.execute("select value from kept").fetchone() == (1,)


def test_a_pid_file_whose_pid_belongs_to_another_process_by_now_is_no_obstacle(server_directory: Path) -> None:
    with held(server_directory) as server:
        address = server.url("postgres")
        pid_file = server_directory / "postgres" / "data" / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        os.kill(postmaster_pid(server_directory), signal.SIGKILL)
        wait_until_gone(server_directory)
    stranger = another_process_of(pid_file.stat().st_uid)

    with stranger as process:
        pid_file.write_text("\n".join([str(process.pid), *lines[1:]]))
        (server_directory / "postgres" / ".s.PGSQL.5432.lock").write_text(f"{process.pid}\n")
        with held(server_directory) as server:
            assert server.url("postgres") == address
            assert answer(server) == 42
        process.kill()


def another_process_of(user: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], user=user if os.geteuid() == 0 else None)


def test_two_first_starts_at_once_make_one_server(server_directory: Path) -> None:
    with another_holder(server_directory), another_holder(server_directory) as second:
        assert answer(held(server_directory)) == 42
        second.communicate()
        assert answer(held(server_directory)) == 42


def test_an_interrupted_first_start_is_begun_afresh(server_directory: Path) -> None:
    half_made = server_directory / "postgres" / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    with held(server_directory) as server:
        assert answer(server) == 42


@pytest.mark.parametrize("name", ["x" * 120, "with 'quotes', commas and $HOME"])
def test_a_path_that_suits_no_socket_is_no_obstacle(server_directory: Path, name: str) -> None:
    with held(server_directory / name) as server:
        assert answer(server) == 42
        assert answer(held(server_directory / name)) == 42
    assert not EmbeddedPostgres(server_directory / name).is_running()


@pytest.mark.parametrize("name", ["short", "x" * 120])
def test_no_other_account_reaches_the_socket(server_directory: Path, name: str) -> None:
    with held(server_directory / name) as server:
        directory = Path(unquote(server.url("postgres").partition("?host=")[2]))

        assert (directory / ".s.PGSQL.5432").is_socket()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_its_settings_are_those_of_a_database_that_holds_personal_data(server_directory: Path) -> None:
    with held(server_directory) as server, psycopg.connect(server.url("postgres")) as connection:
        rows = connection.execute("select name, setting from pg_settings").fetchall()
        settings: dict[str, str] = dict(rows)

    assert settings["TimeZone"] == "UTC"
    assert settings["listen_addresses"] == ""
    assert settings["log_min_error_statement"] == "panic"
    assert settings["log_error_verbosity"] == "terse"
    assert settings["max_connections"] == "100"
    assert settings["server_encoding"] == "UTF8"


def test_a_server_that_cannot_start_says_where_to_look(server_directory: Path) -> None:
    server = EmbeddedPostgres(server_directory, programs=chosen_programs(), settings={"max_connections": "none"})

    with pytest.raises(PostgresError, match=r"server\.log"):
        server.start()
    assert server.stop() is False
