"""The process that runs one hour of both sides, against the same process running one asset that does nothing.

Not here: what many hours cost (`backfill.py`). Both processes are the run worker that Dagster's launchers start, over
the project's own storage in PostgreSQL and the same definitions, which have one asset more here. The hours are those of
a day of 200 chats; the API is asked for the whole day.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs

from b2chat_pipeline.assets.sides import ASSETS
from b2chat_pipeline.commands.dev import adopt
from b2chat_pipeline.commands.project import dagster_environment
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.partitions import hourly_partitions
from b2chat_pipeline.settings import read_account
from b2chat_pipeline_tests.bench.account import running_account
from b2chat_pipeline_tests.bench.databases import production_server, settle
from b2chat_pipeline_tests.bench.report import Measure, median_of
from b2chat_pipeline_tests.dagster_support import FIRST_DAY, PROJECT, account_environment

CHATS_PER_DAY = 200
_FIRST_HOUR = 8
_NOTHING = "nothing"


def definitions() -> dg.Definitions:
    """The project's definitions, and one asset over the same hours that does nothing."""

    @dg.asset(name=_NOTHING, partitions_def=hourly_partitions(read_account(os.environ)))
    def nothing() -> None:
        pass

    return dg.Definitions.merge(build_definitions(os.environ), dg.Definitions(assets=[nothing]))


def measure_run_process(rounds: int) -> list[Measure]:
    """One measure: how many times as long the process of an hour takes."""
    with (
        running_account(chats_per_day=CHATS_PER_DAY, days=2) as account,
        production_server() as server,
        server.database(migrated=True) as url,
        server.database(migrated=False) as dagster_url,
        TemporaryDirectory(prefix="b2chat-bench-") as home,
    ):
        shutil.copy(PROJECT / "dagster.yaml", home)
        settings = {**os.environ, **account_environment(account.url, url), "DAGSTER_HOME": home}
        adopt(dagster_environment(settings, dagster_url=dagster_url, warehouse_url=url))
        settle(url)
        with dg.DagsterInstance.get() as instance:
            # The first of each finds cold files and empty tables of assets.
            seen = [_round(instance, number) for number in range(rounds + 1)][1:]
    nothing, hour = ([pair[place] for pair in seen] for place in (0, 1))
    made_of = f"{median_of('one hour', hour)}, {median_of('nothing', nothing)}"
    ratios = [it / base for base, it in seen]
    return [Measure("run_process", "process of one hour / of an asset that does nothing", 1.5, "less", ratios, made_of)]


def _round(instance: dg.DagsterInstance, number: int) -> tuple[float, float]:
    hour = f"{FIRST_DAY.isoformat()}-{_FIRST_HOUR + number:02}:00"
    return _timed_run(instance, [_NOTHING], hour), _timed_run(instance, ASSETS, hour)


def _timed_run(instance: dg.DagsterInstance, assets: Sequence[str], hour: str) -> float:
    """Seconds that the run worker takes, from its start to its end. Raises CalledProcessError where the run fails."""
    job = definitions().resolve_implicit_global_asset_job_def()
    pointer = ModuleCodePointer(__name__, "definitions", working_directory=str(Path.cwd()))
    origin = JobPythonOrigin(job.name, RepositoryPythonOrigin(sys.executable, pointer))
    keys = {dg.AssetKey(asset) for asset in assets}
    run = instance.create_run_for_job(
        job.get_subset(asset_selection=keys),
        asset_selection=frozenset(keys),
        tags={"dagster/partition": hour},
        job_code_origin=origin,
    )
    order = ExecuteRunArgs(origin, run.run_id, instance.get_ref(), set_exit_code_on_failure=True)
    started = perf_counter()
    subprocess.run(order.get_command_args(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return perf_counter() - started
