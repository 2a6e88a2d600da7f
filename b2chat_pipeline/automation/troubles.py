"""The sensors that watch for trouble, and that send notices. Not here: what trouble is (`policy/troubles.py`)."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime

import dagster as dg

from b2chat_pipeline.automation.failed_runs import failed_runs, last_words
from b2chat_pipeline.automation.health import findings
from b2chat_pipeline.automation.rereads import UNFINISHED
from b2chat_pipeline.automation.sensors import sensor
from b2chat_pipeline.resources import WarehouseResource, utc_now
from b2chat_pipeline.settings import read_notify_urls

TROUBLES = "troubles"
NOTICES = "notices"
# Seconds between two looks.
LOOK_EVERY = 60
# A tick that takes longer than a minute is ended by Dagster.
_SENDING = 30.0


def trouble_sensor(*, clock: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Tells administrators of each cause of failures once, and of its end; on from the first start.

    Where it cannot look, the tick fails: a watcher that skips looks like one that sees nothing.
    """

    @sensor(
        TROUBLES,
        every=LOOK_EVERY,
        description="Tells administrators of each cause of failures once, and of its end; ends runs that died.",
    )
    def what_went_wrong(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SkipReason:
        from b2chat_pipeline.operations.troubles import watch

        now, instance = clock(), context.instance
        with warehouse.connect("troubles") as connection:
            watched = watch(
                connection,
                os.environ,
                lambda since, told: failed_runs(instance, since=since, told=told),
                findings(instance),
                last_words(instance),
                now=now,
            )
        ended = _end(instance, watched.dead_runs)
        begun, over = len(watched.changes.begun), len(watched.changes.over) + len(watched.changes.lapsed)
        return dg.SkipReason(
            f"{begun} troubles began, {len(watched.changes.going_on)} came again, {over} are over,"
            f" {ended} runs that had died were ended. {len(watched.consequences)} health checks fail because of"
            " another trouble. This sensor asks for no runs."
        )

    return what_went_wrong


def _end(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> int:
    """Report runs as failed that Dagster takes for alive; then their hours can be asked for again."""
    if not run_ids:
        return 0
    alive = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids), statuses=UNFINISHED))
    for run in alive:
        instance.report_run_failed(run, "The process of this run died.")
    return len(alive)


def notice_sensor(*, clock: Callable[[], datetime] = utc_now) -> dg.SensorDefinition:
    """Sends what is put out for the channels of B2CHAT_NOTIFY_URLS; on from the first start."""

    @sensor(
        NOTICES,
        every=LOOK_EVERY,
        description="Sends notices to the channels of B2CHAT_NOTIFY_URLS, again where one does not answer.",
    )
    def notices_that_wait(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SkipReason:
        from b2chat_pipeline.operations.channels import deliver
        from b2chat_pipeline.warehouse.outbox import waiting

        urls = read_notify_urls(os.environ)
        with warehouse.connect("notices") as connection:
            done = deliver(connection, urls, now=clock(), seconds=_SENDING)
            left = waiting(connection)
        context.log.info(f"{done.sent} notices were sent, {done.refused} were not taken")
        told = "; ".join(f"{it.notices} wait for {it.channel} ({it.trouble or 'not sent yet'})" for it in left)
        return dg.SkipReason(f"{done.sent} notices were sent, {done.refused} were not taken. {told or 'None waits'}.")

    return notices_that_wait
