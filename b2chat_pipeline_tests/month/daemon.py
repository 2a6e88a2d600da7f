"""Dagster's daemon, one iteration of each of its parts at a time, on a clock that is not the machine's.

Here belongs what `dagster-daemon run` does all the time, and what a run launcher does, within this process. Not here:
how time passes (`life.py`), what goes wrong (`incidents.py`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, Self
from unittest import mock

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.scheduler import DEFAULT_MAX_CATCHUP_RUNS
from dagster._core.test_utils import create_test_daemon_workspace_context, get_freezable_log_manager
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster._serdes import ConfigurableClass, ConfigurableClassData

# What a run is, and how to carry it out.
Execute = Callable[[dg.DagsterRun], None]
LAUNCHER = """
run_launcher:
  module: b2chat_pipeline_tests.month.daemon
  class: InProcessLauncher
"""
_LOG = logging.getLogger("month")


class InProcessLauncher(RunLauncher, ConfigurableClass):
    """Carries a run out at once, within the process of the daemon, or as `execute` says."""

    execute: Execute

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What dagster.yaml says of it."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No fields."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Of `dagster.yaml`."""
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Carry the run out."""
        self.execute(context.dagster_run)

    def terminate(self, run_id: str) -> bool:  # noqa: ARG002 - the base class's signature
        """There is no process to end: as with the project's own launcher, whose process was killed."""
        return False


@contextmanager
def clock_of_dagster(now: Callable[[], datetime]) -> Iterator[None]:
    """Have Dagster take the time from a clock: what its own `freeze_time` does, with a clock that goes on."""
    log_manager = get_freezable_log_manager()  # type: ignore[no-untyped-call]
    with (
        mock.patch("dagster._time._mockable_get_current_datetime", new=now),
        mock.patch("dagster._time._mockable_get_current_timestamp", new=lambda: now().timestamp()),  # noqa: PT008 - each time anew
        mock.patch("dagster._core.log_manager.DagsterLogManager", new=log_manager),
    ):
        yield


@contextmanager
def clock_of_pipeline(now: Callable[[], datetime]) -> Iterator[None]:
    """Have the pipeline take the time from a clock: all that it does within Dagster asks `resources.utc_now`."""

    class Shown(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # noqa: ANN401 - the base class's signature
            return now().astimezone(tz or UTC)

    with mock.patch("b2chat_pipeline.resources.datetime", new=Shown):
        yield


class Daemon:
    """Dagster's daemon with the project's definitions, from its start to its end; it remembers nothing by itself."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._open = ExitStack()
        self._times: dict[str, Any] = {}

    def __enter__(self) -> Self:
        target = LoadableTargetOrigin(module_name="b2chat_pipeline_tests.month.code")
        origin = InProcessCodeLocationOrigin(target, location_name="b2chat_pipeline")
        load = InProcessWorkspaceLoadTarget(origin)
        context = create_test_daemon_workspace_context(load, self._instance)
        self._context: WorkspaceProcessContext = self._open.enter_context(context)
        # A code server opens an instance for each tick, which costs as much as most ticks do.
        same = staticmethod(lambda _: nullcontext(self._instance))
        self._open.enter_context(mock.patch.object(dg.DagsterInstance, "from_ref", new=same))
        self._queue = self._open.enter_context(QueuedRunCoordinatorDaemon(interval_seconds=5))
        self._retries = self._open.enter_context(EventLogConsumerDaemon())
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def repository(self) -> dg.RepositoryDefinition:
        """The project's definitions, as this daemon has loaded them."""
        (location,) = self._context.create_request_context().code_locations
        (name,) = location.get_repositories()
        return location._get_repo_def(name)  # type: ignore[attr-defined,no-any-return]

    def iterate(self, now: datetime) -> list[object]:
        """One iteration of each part, schedules first; the errors at which parts gave up until the next time."""
        context = self._context
        parts: list[Callable[[], Iterable[object]]] = [
            lambda: launch_scheduled_runs(context, _LOG, now, self._times, max_catchup_runs=DEFAULT_MAX_CATCHUP_RUNS),
            lambda: execute_sensor_iteration(context, _LOG, None, None),
            lambda: execute_run_monitoring_iteration(context, _LOG),
            lambda: self._retries.run_iteration(context),
            lambda: self._launch_queued(now),
        ]
        return [error for part in parts for error in _errors_of(part)]

    def _launch_queued(self, now: datetime) -> Iterator[object]:
        """Launch what is queued, until nothing is, or what is left may not begin yet.

        One iteration launches no more runs than the limits allow at once. The real queue looks again seconds later,
        when those have ended; here they have ended already, and the next look is hours away.
        """
        queued = dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
        waiting, before = self._instance.get_runs_count(queued), None
        while waiting and waiting != before:
            yield from self._queue.run_iteration(self._context, fixed_iteration_time=now.timestamp())
            waiting, before = self._instance.get_runs_count(queued), waiting


def _errors_of(part: Callable[[], Iterable[object]]) -> Iterator[object]:
    """What a part could not do. Dagster's own loop takes any exception of an iteration for a reason to try again."""
    try:
        for told in part():
            if told is not None:
                yield told
    except Exception as error:  # noqa: BLE001 - told by the caller
        yield error


def execute_here(repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Carry out a run in this process, as a worker of its own does."""
    job = repository.get_maybe_subset_job_def(
        run.job_name, asset_selection=run.asset_selection, asset_check_selection=run.asset_check_selection
    )
    execute_run(InMemoryJob(job), run, instance)
