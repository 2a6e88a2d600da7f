"""The one Dagster `Definitions` object: explicit lists, put together by a function that takes overrides.

Here belongs assembly only. Definitions always load, also with an empty environment and no network: what is missing is
said where it matters, by the run, the command or the tick that needs it.
"""

import os
from collections.abc import Mapping

import dagster as dg

from b2chat_pipeline.assets.all_contacts import all_contacts
from b2chat_pipeline.assets.health import health_asset, health_checks
from b2chat_pipeline.assets.models import model_assets, model_checks
from b2chat_pipeline.assets.rereads import chat_updates
from b2chat_pipeline.assets.scoring import effectiveness_analysis, effectiveness_batches, model_check
from b2chat_pipeline.assets.sides import chats_side, contacts_side
from b2chat_pipeline.automation.contacts import contacts_schedule
from b2chat_pipeline.automation.gaps import gap_sensor
from b2chat_pipeline.automation.health import health_schedule
from b2chat_pipeline.automation.hourly import hourly_schedule
from b2chat_pipeline.automation.maintenance import retention, retention_schedule
from b2chat_pipeline.automation.models import changed_days_sensor, model_jobs, nightly_schedule
from b2chat_pipeline.automation.plans import load_plan_job
from b2chat_pipeline.automation.rereads import reread_schedule
from b2chat_pipeline.automation.scoring import collecting_sensor, scoring_schedule
from b2chat_pipeline.automation.troubles import notice_sensor, trouble_sensor
from b2chat_pipeline.partitions import account_or_placeholder, daily_partitions, hourly_partitions
from b2chat_pipeline.resources import B2ChatResource, JudgeResource, WarehouseResource
from b2chat_pipeline.transform.models import Project
from b2chat_pipeline.transform.project import models_folder, read_project


def build_definitions(
    environ: Mapping[str, str], *, resources: Mapping[str, object] | None = None, models: Project | None = None
) -> dg.Definitions:
    """The project's definitions for an environment; `resources` replaces some of the default ones, `models` the SQL."""
    account, problem = account_or_placeholder(environ)
    hours, days = hourly_partitions(account), daily_partitions(account)
    project = models or read_project(models_folder())
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [chats_side(hours), contacts_side(hours), chat_updates(days)]
    assets += [all_contacts(), health_asset(), *model_assets(project, days)]
    assets += [effectiveness_batches(days), effectiveness_analysis(days)]
    jobs = model_jobs(project)
    if problem is not None:
        assets = [_with_warning(asset, problem) for asset in assets]
    return dg.Definitions(
        assets=assets,
        asset_checks=[*model_checks(project), model_check(), health_checks(hours)],
        jobs=[retention, load_plan_job, *jobs],
        schedules=[
            *(hourly_schedule(hours), reread_schedule(days)),
            *(contacts_schedule(account), retention_schedule(account)),
            *(nightly_schedule(project, account), health_schedule(account), scoring_schedule(account)),
        ],
        sensors=[
            *(gap_sensor(hours), changed_days_sensor(project, jobs), collecting_sensor()),
            *(trouble_sensor(), notice_sensor()),
        ],
        resources={
            "warehouse": WarehouseResource(),
            "b2chat": B2ChatResource(),
            "judge": JudgeResource(),
            **(resources or {}),
        },
        # One process for all steps of a run: a process per step costs seconds.
        executor=dg.in_process_executor,
    )


def _with_warning(asset: dg.AssetsDefinition | dg.AssetSpec, problem: str) -> dg.AssetsDefinition | dg.AssetSpec:
    warning = f"**Not ready.** {problem} Until then the hours shown are UTC and no run will start.\n\n"

    def warned(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(description=warning + (spec.description or ""))

    return warned(asset) if isinstance(asset, dg.AssetSpec) else asset.map_asset_specs(warned)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build_definitions(os.environ)
