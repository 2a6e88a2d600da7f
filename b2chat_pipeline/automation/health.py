"""The hourly schedule that looks at the pipeline's health, and its job.

Not here: what is looked at (`assets/health.py`).
"""

import os

import dagster as dg

from b2chat_pipeline.assets.health import HEALTH
from b2chat_pipeline.settings import Account, SettingsError, check_all

# When the fresh hour should be loaded, and has had time to.
_CRON = "27 * * * *"


def health_schedule(account: Account) -> dg.ScheduleDefinition:
    """Looks once an hour; on from the first start."""
    job = dg.define_asset_job(
        HEALTH,
        selection=dg.AssetSelection.checks_for_assets(HEALTH),
        description="Looks at everything that could be wrong, and changes nothing.",
    )

    @dg.schedule(
        name=HEALTH,
        job=job,
        cron_schedule=_CRON,
        execution_timezone=account.zone.key,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Checks every hour whether hours are loaded, re-reads as promised, and requests left.",
    )
    def look() -> dg.RunRequest | dg.SkipReason:
        try:
            check_all(os.environ)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest()

    return look
