"""Fixtures every test may ask for."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from b2chat_pipeline_tests.analyst_support import Account, built_account
from b2chat_pipeline_tests.command_support import Command, Home, home_in, in_this_process
from b2chat_pipeline_tests.postgres import PostgresServer, roomy_memory, session_server
from b2chat_pipeline_tests.scoring_support import Bench, running_bench

# An example takes longer where the machine has other work, which says nothing about the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

_DIRECTORY = "B2CHAT_TEST_SERVER_DIRECTORY"


def pytest_configure() -> None:
    """The first process of a session says where the server's data goes; its workers inherit that.

    Not below pytest's own temporary directory: that is closed to the account the server runs as.
    """
    if _DIRECTORY not in os.environ:
        os.environ[_DIRECTORY] = tempfile.mkdtemp(prefix="b2chat-tests-", dir=roomy_memory())


def pytest_unconfigure(config: pytest.Config) -> None:
    """The first process outlives its workers and clears up."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(_DIRECTORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nearly all that collecting makes stays until the end, so looking through it for garbage only takes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use the server, which are run a second time on another version of it."""
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server per session, shared by all its workers."""
    with session_server(Path(os.environ[_DIRECTORY])) as server:
        yield server


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database with the whole schema and no rows."""
    with postgres_server.database(migrated=True) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database without any schema."""
    with postgres_server.database(migrated=False) as url:
        yield url


@pytest.fixture(scope="session")
def account(postgres_server: PostgresServer) -> Iterator[Account]:
    """A small account with every model built; whoever changes anything in it puts it back."""
    with built_account(postgres_server) as built:
        yield built


@pytest.fixture(scope="session")
def shared_bench(postgres_server: PostgresServer) -> Iterator[Bench]:
    """A warehouse with chats to be scored, and a service to judge them, for all tests of scoring."""
    with postgres_server.database(migrated=True) as url, running_bench(url) as made:
        yield made


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    """The same, with nothing scored yet."""
    shared_bench.reset()
    return shared_bench


@pytest.fixture
def server_directory() -> Iterator[Path]:
    """An empty directory with a short path that a server may put its data below."""
    with tempfile.TemporaryDirectory(prefix="b2chat-", dir=roomy_memory()) as directory:
        yield Path(directory)


@pytest.fixture
def home(server_directory: Path) -> Iterator[Home]:
    """A user's folder, in which nothing was done yet."""
    with home_in(server_directory) as home:
        yield home


@pytest.fixture
def b2chat(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """The command, run in this process as that user would run it."""
    with in_this_process(home, monkeypatch, capfd) as command:
        yield command
