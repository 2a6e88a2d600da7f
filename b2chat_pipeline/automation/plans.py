"""The job that tells what a load will take, before a backfill is launched.

Not here: the arithmetic (`policy/loads.py`), and what is known of the account (`operations/planning.py`).
"""

import os

import dagster as dg
from pydantic import Field

from b2chat_pipeline.assets.shell import failing_in_one_sentence
from b2chat_pipeline.partitions import offered_span
from b2chat_pipeline.policy.loads import BY_DAEMON
from b2chat_pipeline.resources import WarehouseResource, utc_now
from b2chat_pipeline.settings import check_all, read_account


class Hours(dg.Config):
    """The hours to be loaded, as the account counts them: days, or times on the hour. Empty: all from its first day."""

    start: str = Field(default="", description="2026-01-31, or 2026-01-31T14:00; empty: the account's first day.")
    end: str = Field(default="", description="The day or hour after the last one; empty: up to now.")


@dg.op
def plan_load(context: dg.OpExecutionContext, config: Hours, warehouse: WarehouseResource) -> None:
    """Tells hours, records, requests, days of budget and the end; asks B2Chat for two pages at most."""
    from b2chat_pipeline.operations.planning import load_plan

    with failing_in_one_sentence(), warehouse.connect("plan") as connection:
        check_all(os.environ)
        account = read_account(os.environ)
        start = config.start or account.first_day.isoformat()
        end = config.end or f"{utc_now().astimezone(account.zone):%Y-%m-%dT%H:00}"
        window = offered_span(account, start, end)
        plan = load_plan(connection, os.environ, window, pace=BY_DAEMON)
    told = plan.sentences(account.zone)
    context.log.info(told)
    context.add_output_metadata(
        {
            "plan": dg.MetadataValue.text(told),
            "hours": plan.hours,
            "records": plan.records,
            "requests": plan.requests,
            "days_of_requests": plan.days,
            "done_if_launched_now": dg.MetadataValue.timestamp(plan.finished),
        }
    )


@dg.job(
    name="load_plan",
    description="Tells what loading a range of hours will take, before a backfill of it is launched; loads nothing.",
)
def load_plan_job() -> None:
    """One step."""
    plan_load()
