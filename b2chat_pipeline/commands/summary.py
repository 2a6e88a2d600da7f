"""One screen that says what a load has done."""

from collections.abc import Sequence

import click
import dagster as dg

_TOTALS = """
    select entity, sum(received), sum(inserted), sum(updated), sum(unchanged), sum(repeated + older + outside),
           sum(quarantined)
      from ops.ledger
     where sync_id in (select id from sync_logs where metadata ->> 'run_id' = any(%s))
     group by entity order by entity
"""
_HEADINGS = ("", "received", "inserted", "updated", "unchanged", "passed over", "put aside")
_PASSED_OVER = "Passed over: not written, being told twice, older than what is stored, or not of these hours."
_PUT_ASIDE = "Put aside: does not fit, and a chat takes all it holds with it; `b2chat quarantine list` says why."
# Sentences about failures that fit on one screen.
_SHOWN = 8


def print_summary(instance: dg.DagsterInstance, run_ids: Sequence[str], *, hours: int, warehouse_url: str) -> bool:
    """Print what became of the hours that some runs loaded, and return whether all are loaded."""
    from rich.console import Console
    from rich.table import Table

    from b2chat_pipeline.warehouse.connection import connect

    table = Table(title=f"{_count(hours, 'hour')} in {_count(len(run_ids), 'run')}")
    aside = 0
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=" " not in heading)
    with connect(warehouse_url, purpose="summary") as connection:
        for entity, *counts in connection.execute(_TOTALS, (list(run_ids),)):
            table.add_row(entity, *(f"{count:,}" for count in counts))
            aside += counts[-1]
    Console().print(table)
    click.echo(_PASSED_OVER)
    if aside:
        click.echo(_PUT_ASIDE)
    failures = failure_sentences(instance, run_ids)
    for sentence in failures[:_SHOWN]:
        click.echo(f"Failed: {sentence}")
    if len(failures) > _SHOWN:
        click.echo(f"… and {len(failures) - _SHOWN} more; the runs page of the UI has them all.")
    return not failures


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def failure_sentences(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> list[str]:
    """Why runs failed, in the order of the runs; what several steps failed of is said once."""
    sentences = []
    for run_id in run_ids:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_success:
            sentences += _of_steps(instance, run_id) or [f"run {run_id} ended as {run.status.value}: see its log."]
    return list(dict.fromkeys(sentences))


def _of_steps(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    events = [record.dagster_event for record in records if record.dagster_event is not None]
    data = [event.step_failure_data for event in events]
    return [
        (told.user_failure_data.description or "")
        if told.user_failure_data
        else str(told.error_display_string).split("\n")[0]
        for told in data
    ]
