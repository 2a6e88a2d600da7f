"""The PostgreSQL server of a test session, and fresh databases on it. The fixtures are in `conftest.py`."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from b2chat_pipeline.warehouse.database import migrate
from b2chat_pipeline.warehouse.embedded import EmbeddedPostgres
from b2chat_pipeline.warehouse.postgres_cluster import PostgresPrograms

CHOICE = "B2CHAT_TEST_POSTGRES"
_TEMPLATE = "migrated"
_PROGRAMS = MappingProxyType({"15": PostgresPrograms(Path("/usr/lib/postgresql/15/bin"))})

# What is lost in a power cut is of no interest here.
FAST = MappingProxyType(
    {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "shared_buffers": "64MB",
    }
)


# On a disk, a fresh database costs ten times the processor time that it costs here, and there are hundreds of them.
_MEMORY = Path("/dev/shm")  # noqa: S108 - only what mkdtemp makes below it is used
_ROOM = 4 * 2**30


def roomy_memory() -> Path | None:
    """A folder in memory with room for the databases of a session; None for the usual place of temporary files."""
    has_room = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if has_room else None


def chosen_programs() -> PostgresPrograms | None:
    """The programs that the environment asks for; None for the embedded ones."""
    choice = os.environ.get(CHOICE, "embedded")
    if choice == "embedded":
        return None
    programs = _PROGRAMS.get(choice)
    if programs is None:
        pytest.exit(f"{CHOICE} knows embedded and {', '.join(_PROGRAMS)}, not {choice}.", returncode=4)
    if not (programs.directory / "initdb").exists():
        pytest.exit(f"{CHOICE}={choice}: {programs.directory} holds no PostgreSQL. Install it.", returncode=4)
    return programs


class PostgresServer:
    """The server, seen from one test process."""

    def __init__(self, embedded: EmbeddedPostgres) -> None:
        self._embedded = embedded
        self._connection = psycopg.connect(embedded.url("postgres"), autocommit=True)

    def close(self) -> None:
        """Lets go of the maintenance connection."""
        self._connection.close()

    def url(self, database: str) -> str:
        """The address of a database."""
        return self._embedded.url(database)

    def version(self) -> int:
        """The major version."""
        return self._connection.info.server_version // 10_000

    @contextmanager
    def database(self, *, migrated: bool) -> Iterator[str]:
        """The address of a fresh database, dropped afterwards."""
        if migrated:
            with self.copy_of(self.url(_TEMPLATE)) as url:
                yield url
            return
        name = f"test_{uuid4().hex[:12]}"
        self._execute("create database {}", name)
        yield self.url(name)
        self._execute("drop database {} with (force)", name)

    @contextmanager
    def copy_of(self, url: str) -> Iterator[str]:
        """The address of a copy of a database that nobody is connected to, dropped afterwards."""
        name = f"test_{uuid4().hex[:12]}"
        template = str(conninfo_to_dict(url)["dbname"])
        self._execute("create database {} template {} strategy file_copy", name, template)
        yield self.url(name)
        self._execute("drop database {} with (force)", name)

    def ensure_template(self) -> None:
        """Migrates the database that the others are copied from, once for all workers."""
        self._ensure(_TEMPLATE, None, migrate)

    @contextmanager
    def copy_of_prepared(self, name: str, prepare: Callable[[str], None]) -> Iterator[str]:
        """The address of a copy of a migrated database in which something was prepared, once for all workers."""
        self._ensure(name, _TEMPLATE, prepare)
        with self.copy_of(self.url(name)) as url:
            yield url

    def _ensure(self, name: str, template: str | None, prepare: Callable[[str], None]) -> None:
        self._connection.execute("select pg_advisory_lock(1)")
        if not self._connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            self._execute("drop database if exists {}", "unfinished")
            self._execute("create database {} template {}", "unfinished", template or "template1")
            prepare(self.url("unfinished"))
            self._execute("alter database {} rename to {}", "unfinished", name)
        self._connection.execute("select pg_advisory_unlock(1)")

    def _execute(self, statement: LiteralString, *names: str) -> None:
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def session_server(directory: Path) -> Iterator[PostgresServer]:
    """The server of the session, with its data in `directory`; it stops with the last worker."""
    with EmbeddedPostgres(directory, programs=chosen_programs(), settings=FAST) as embedded:
        server = PostgresServer(embedded)
        server.ensure_template()
        yield server
        server.close()
