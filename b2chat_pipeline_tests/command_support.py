"""Runs the `b2chat` command and Dagster's own as a user would, away from this project's folder and settings."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil
import psycopg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)

from b2chat_pipeline.cli import main
from b2chat_pipeline_tests.dagster_support import PROJECT, account_environment

SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit status."""

    status: int
    output: str
    errors: str


# Runs `b2chat` with some arguments, and with settings by name.
Command = Callable[..., Said]
GOOD = account_environment("http://127.0.0.1:1", "postgresql://u@127.0.0.1:1/d")


@dataclass(frozen=True)
class Home:
    """A user's folder with the project's two files for Dagster in it; everything a command writes stays here."""

    folder: Path

    @property
    def data(self) -> Path:
        """Where the embedded server and the logs go."""
        return self.folder / "data"

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The environment of a user who has set exactly these."""
        return {
            "PATH": f"{SCRIPTS}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "B2CHAT_DATA_DIR": str(self.data),
            **settings,
        }

    def run(self, command: Sequence[str], settings: Mapping[str, str], *, seconds: float = 120) -> Said:
        """Run a command to its end."""
        told = subprocess.run(
            [SCRIPTS / command[0], *command[1:]],
            env=self.environment(settings),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Said(told.returncode, told.stdout, told.stderr)

    @contextmanager
    def running(self, command: Sequence[str], settings: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
        """A command that goes on; killed where a test leaves it running."""
        log = (self.folder / f"{command[0]}.log").open("w")
        with (
            log,
            subprocess.Popen(
                [SCRIPTS / command[0], *command[1:]],
                env=self.environment(settings),
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()
                self.clear()

    def processes(self) -> list[psutil.Process]:
        """Every process that works below this folder, by its arguments, environment or working directory."""
        return [process for process in psutil.process_iter() if self._holds(process)]

    def _holds(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            about = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            return False
        return any(str(self.folder) in text for text in about)

    def clear(self) -> None:
        """End whatever a failed test has left behind."""
        for process in self.processes():
            process.kill()


@contextmanager
def home_in(folder: Path) -> Iterator[Home]:
    """A fresh user's folder."""
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml", "config.example.yaml"):
        shutil.copy(PROJECT / name, folder)
    home = Home(folder)
    try:
        yield home
    finally:
        home.clear()


@contextmanager
def in_this_process(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Runs the command in this process, with all settings good but for those that a test gives (None: not set).

    A process of its own would take longer to start than most commands take.
    """
    before, handlers = dict(os.environ), {it: signal.getsignal(it) for it in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(home.folder)

    def run(*arguments: str, **settings: str | None) -> Said:
        wanted = {**home.environment(GOOD), "DAGSTER_HOME": str(home.folder), **settings}
        os.environ.clear()
        os.environ.update({name: value for name, value in wanted.items() if value is not None})
        monkeypatch.setattr(sys, "argv", ["b2chat", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    try:
        yield run
    finally:
        os.environ.clear()
        os.environ.update(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def wait_for_line(stream: IO[str] | None, beginning: str) -> str:
    """The first line of a stream that begins with a text; fails where the stream ends before."""
    assert stream is not None
    for line in stream:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"no line begins with {beginning!r}")


def wait_for_file(path: Path, *, seconds: float = 60) -> None:
    """Wait until somebody has made a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def instigator(name: str) -> RemoteInstigatorOrigin:
    """A schedule or sensor of the project, as a daemon knows it."""
    location = RegisteredCodeLocationOrigin("b2chat_pipeline")
    return RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)


def wait_for_daemon(dagster_url: str) -> None:
    """Wait until the daemon has said that it works off backfills."""
    deadline = time.monotonic() + 30
    with psycopg.connect(dagster_url, autocommit=True) as connection:
        while not connection.execute("select 1 from daemon_heartbeats where daemon_type = 'BACKFILL'").fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.2)


def wait_until_none(home: Home, *, seconds: float = 10) -> None:
    """Wait until nothing works below a folder any more."""
    deadline = time.monotonic() + seconds
    while left := home.processes():
        assert time.monotonic() < deadline, [process.cmdline() for process in left]
        time.sleep(0.1)
