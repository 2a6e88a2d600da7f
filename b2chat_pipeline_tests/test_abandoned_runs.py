"""Runs that a killed `b2chat load` leaves behind are ended by the next command; those of the living are left alone."""

from collections.abc import Iterator

import dagster as dg
import pytest

from b2chat_pipeline.commands.abandoned import end_abandoned_runs, process_lock


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    """A run that has begun."""

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def work() -> None:
        nothing()

    run = instance.create_run_for_job(work, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def test_a_run_whose_process_died_is_failed_by_the_next_command(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    with process_lock(empty_database_url) as tags:
        left = started(instance, tags)

    assert end_abandoned_runs(instance, empty_database_url) == [left]
    assert status(instance, left) == "FAILURE"
    assert end_abandoned_runs(instance, empty_database_url) == []


def test_a_run_whose_process_lives_goes_on(instance: dg.DagsterInstance, empty_database_url: str) -> None:
    with process_lock(empty_database_url) as tags:
        alive = started(instance, tags)

        assert end_abandoned_runs(instance, empty_database_url) == []
        assert status(instance, alive) == "STARTED"


def test_a_run_that_the_daemon_started_is_none_of_its_business(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    launched = started(instance, {})

    assert end_abandoned_runs(instance, empty_database_url) == []
    assert status(instance, launched) == "STARTED"
