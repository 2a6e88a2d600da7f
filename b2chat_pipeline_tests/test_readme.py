"""Every command of the README and of the run-book is run, so that none of them rots."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import psycopg
import pytest

pytestmark = pytest.mark.any_postgres

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
# What of the invented account is put aside.
MISFITS = [("chats", "$.duration"), ("contacts", "$.email")]


def commands(document: str) -> list[str]:
    """The lines of a document's `sh` blocks, and the commands it gives inside its sentences."""
    text = (ROOT / document).read_text()
    blocks = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return blocks + re.findall(r"`((?:make|b2chat) [^`]*)`", text)


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project's files in an empty folder, whose virtual environment is this one."""
    folder = tmp_path_factory.mktemp("clone")
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in files.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(BIN.parent)
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, command: str, **environ: str) -> str:
    """Run a command of the README in a clone, as a new user would; make takes the virtual environment as installed."""
    made = command.replace("make ", "make -o .venv/.installed ", 1)
    done = subprocess.run(
        made,
        shell=True,
        cwd=folder,
        env=clean_environment(folder, **environ),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def clean_environment(folder: Path, **environ: str) -> dict[str, str]:
    """An environment without any setting of ours, or of the make that runs these tests, and an empty home."""
    ours = ("B2CHAT_", "DAGSTER_", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) and name != "MFLAGS"}
    return {**kept, "HOME": str(folder / "home"), "PATH": f"{BIN}:{os.environ['PATH']}", **environ}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(folder: Path, command: str, port: int, **environ: str) -> Iterator[Path]:
    """A command that serves the UI, from when it answers until interrupted as by Ctrl-C; yields its output."""
    made = command.replace("make ", "make -o .venv/.installed ", 1)
    printed = folder / "printed.txt"
    with printed.open("w") as output:
        process = subprocess.Popen(
            made,
            shell=True,
            cwd=folder,
            env=clean_environment(folder, **environ),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 150
        while not answers(f"http://127.0.0.1:{port}/server_info"):
            assert process.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, f"{command} serves no UI"
            time.sleep(0.5)
        yield printed
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def test_every_command_of_the_readme_is_one_that_the_tests_below_run() -> None:
    assert set(commands("README.md")) == {
        "make demo",
        'make demo ARGS="--days 2 --exit"',
        "make test",
        "make dev",
        "make help",
        "cp .env.example .env",
        ".venv/bin/b2chat load --plan 2026-01-01 2026-01-04",
        ".venv/bin/b2chat load 2026-01-01 2026-01-04",
        ".venv/bin/b2chat doctor",
        ".venv/bin/b2chat replay 2026-01-01 2026-01-04",
        ".venv/bin/b2chat build 2026-01-01 2026-01-04",
        ".venv/bin/b2chat db upgrade",
    }


def test_make_demo_serves_the_ui_until_it_is_interrupted(clone: Path) -> None:
    # The port is ours: that of the documented command may be in use.
    port = free_port()

    with served(clone, "make demo", port, ARGS=f"--days 1 --port {port}") as printed:
        pass

    assert "hours of an invented account" in printed.read_text()
    assert nothing_runs_in(clone)


def test_make_demo_with_exit_loads_an_invented_account_leaves_nothing_running_and_touches_nothing_of_the_users(
    clone: Path, empty_database_url: str
) -> None:
    users_own = {
        "B2CHAT_DATABASE_URL": empty_database_url,
        "DAGSTER_DATABASE_URL": empty_database_url,
        "B2CHAT_API_URL": "http://127.0.0.1:1",
        "B2CHAT_TIMEZONE": "Mars/Base",
    }
    demos = {"B2CHAT_DATA_DIR": str(clone / ".b2chat" / "demo")}

    told = run(clone, f'make demo ARGS="--days 2 --exit --port {free_port()}"', **users_own)
    aside = run(clone, ".venv/bin/b2chat quarantine list", **demos)
    configured = run(
        clone,
        ".venv/bin/b2chat config show",
        **demos,
        B2CHAT_TIMEZONE="America/Bogota",
        B2CHAT_START_DATE="2025-01-06",
    )

    assert nothing_runs_in(clone)
    counts = {entity: int(count.replace(",", "")) for entity, count in re.findall(r"│ (\w+) +│ +([\d,]+) │", told)}
    assert counts.keys() == {"agents", "chats", "contacts", "departments", "messages"}
    assert counts["messages"] > counts["chats"] > 50
    assert "`b2chat quarantine list` says why" in told
    assert re.findall(r"│ (\w+) +│ Expected[^│]+│ (\S+) +│ 1 ", aside) == MISFITS
    assert re.search(r"│ calendar +│ default +│ 1 ", configured), configured
    assert told.splitlines()[-1] == "Stopped."
    with psycopg.connect(empty_database_url) as connection:
        tables = "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        assert connection.execute(tables).fetchone() == (0,)


def test_make_help_lists_the_targets_and_make_test_would_run_the_checks_and_the_suite(clone: Path) -> None:
    # The suite cannot run itself; what the target would do is read instead.
    assert {"demo", "dev", "test"} <= set(re.findall(r"^  (\w+) ", run(clone, "make help"), re.MULTILINE))
    planned = run(clone, "make -n test")

    assert "ruff check" in planned
    assert "mypy" in planned
    assert "pytest -n 4" in planned


def test_the_way_with_an_account_works_line_by_line(clone: Path) -> None:
    port, api = free_port(), free_port()
    simulator = subprocess.Popen(
        [BIN / "b2chat", "simulate", "--port", str(api), "--chats-per-day", "10"], stdout=subprocess.DEVNULL
    )
    try:
        run(clone, "cp .env.example .env")
        fill_in(clone / ".env", api)
        with served(clone, "make dev", port, ARGS=f"--port {port}"):
            assert "72 hours" in run(clone, ".venv/bin/b2chat load --plan 2026-01-01 2026-01-04")
            printed = run(clone, ".venv/bin/b2chat load 2026-01-01 2026-01-04")
            assert "72 hours" in printed
            assert "Failed" not in printed
            assert "say what the stored pages say" in run(clone, ".venv/bin/b2chat replay 2026-01-01 2026-01-04")
            assert "2026-01-01 .. 2026-01-03" in run(clone, ".venv/bin/b2chat build 2026-01-01 2026-01-04")
            assert "Nothing has to be put right." in run(clone, ".venv/bin/b2chat doctor")
        assert "revision" in run(clone, ".venv/bin/b2chat db upgrade")
    finally:
        simulator.terminate()
        simulator.wait()

    assert nothing_runs_in(clone)


def fill_in(dotenv: Path, api_port: int) -> None:
    """What the README asks the reader to fill in, and the address of the simulator."""
    text = dotenv.read_text()
    for name, value in (("B2CHAT_USERNAME", "demo"), ("B2CHAT_PASSWORD", "demo")):
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    dotenv.write_text(f"{text}\nB2CHAT_API_URL=http://127.0.0.1:{api_port}\n")


def nothing_runs_in(folder: Path) -> bool:
    """Whether no process works in a folder any more."""
    deadline = time.monotonic() + 20
    while (running := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not running, running
    return True


def processes_in(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline())[:120])
        except psutil.Error:
            continue
    return found
