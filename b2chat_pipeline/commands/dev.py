"""`b2chat dev`: databases, webserver and daemon, until interrupted."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from b2chat_pipeline.commands.abandoned import end_abandoned_runs
from b2chat_pipeline.commands.databases import Databases, open_databases
from b2chat_pipeline.commands.ports import HOST, require_free
from b2chat_pipeline.commands.processes import Processes, answers
from b2chat_pipeline.commands.project import dagster_environment, project_folder
from b2chat_pipeline.settings import check_all, read_storage
from b2chat_pipeline.warehouse.address import psycopg_url

# Seconds: two code servers load the definitions on a machine that may have two busy cores.
START_UP = 90.0


@dataclass(frozen=True)
class Services:
    """Dagster's own processes over databases that are ready."""

    processes: Processes
    environ: Mapping[str, str]
    port: int
    databases: Databases

    @property
    def address(self) -> str:
        """Where the UI is."""
        return f"http://{HOST}:{self.port}"

    def say_where_the_tables_are(self) -> None:
        """Print how to connect to the embedded server, which has no password. Not for others: theirs would be told."""
        click.echo(f"Tables and books: psql {shlex.quote(self.databases.warehouse)}")

    def start_webserver(self) -> None:
        """Start the UI without waiting for it."""
        command = [_script("dagster-webserver"), "-w", _workspace(), "-h", HOST, "-p", str(self.port)]
        self.processes.start("webserver", command, self.environ)

    def wait_for_webserver(self) -> None:
        """Wait until the UI answers. Raises ProcessError."""
        webserver = next(child for child in self.processes.children if child.name == "webserver")
        self.processes.wait_until(webserver, lambda: answers(f"{self.address}/server_info"), seconds=START_UP)

    def start_daemon(self) -> None:
        """Start schedules, sensors, backfills and the run queue."""
        self.processes.start("daemon", [_script("dagster-daemon"), "run", "-w", _workspace()], self.environ)

    def watch(self, announce: Callable[[], None], *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Say that all runs, and return when the user interrupts; `meanwhile` is done again and again. Raises
        ProcessError or DatabaseError where one of them ends by itself.
        """

        def check() -> None:
            self.databases.check()
            meanwhile()

        self.processes.watch(check, announce=announce)


def dev(environ: Mapping[str, str], *, port: int) -> None:
    """Run everything until interrupted. Raises SettingsError before anything is started."""
    check_all(environ)
    # Asked before the addresses of both databases are put into the environment.
    is_embedded = read_storage(environ).database_url is None
    with open_services(environ, port=port) as services:
        services.start_webserver()
        services.start_daemon()
        services.wait_for_webserver()

        def announce() -> None:
            click.echo(f"Dagster is at {services.address}; logs are in {services.processes.log_folder}.")
            if is_embedded:
                services.say_where_the_tables_are()
            click.echo("Ctrl-C stops everything.")

        services.watch(announce)
    click.echo("Stopped.")


@contextmanager
def open_services(environ: Mapping[str, str], *, port: int) -> Iterator[Services]:
    """Databases that are ready, and the means to start Dagster over them; all is stopped at the end."""
    require_free(port)
    log_folder = read_storage(environ).data_dir / "logs"
    with open_databases(environ) as databases:
        ready = dagster_environment(environ, dagster_url=databases.dagster, warehouse_url=databases.warehouse)
        adopt(ready)
        _prepare_dagster(databases.dagster)
        try:
            with Processes(log_folder) as processes:
                yield Services(processes, ready, port, databases)
        finally:
            _forget_daemon(databases.dagster)


def adopt(environ: Mapping[str, str]) -> None:
    """Make an environment this process's own: Dagster and the runs in this process read it from there."""
    os.environ.update(environ)


def _prepare_dagster(dagster_url: str) -> None:
    """Create the tables once, before several processes would try to at the same time; end what killed commands left."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        end_abandoned_runs(instance, dagster_url)


def _forget_daemon(dagster_url: str) -> None:
    """Its last heartbeat would make it look alive, and `b2chat load` hand it a backfill.

    A database that is gone keeps it: Dagster would try for half a minute, and hide what went wrong behind its trace.
    """
    import dagster as dg
    import psycopg

    try:
        psycopg.connect(psycopg_url(dagster_url)).close()
    except psycopg.OperationalError:
        return
    with dg.DagsterInstance.get() as instance:
        instance.wipe_daemon_heartbeats()


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _workspace() -> str:
    return str(project_folder() / "workspace.yaml")
