"""The hourly schedule that looks at the pipeline's health, its job, and reading what it found.

Not here: what is looked at (`assets/health.py`), what people are told of it (`policy/findings.py`).
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from b2chat_pipeline.assets.health import HEALTH, SUBJECTS
from b2chat_pipeline.policy.findings import Finding
from b2chat_pipeline.settings import Account, SettingsError, check_all

# Of looks that came to an end.
_LOOKED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
# More than are made up for at once after the daemon was off.
_LOOKS = 8
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


def findings(instance: dg.DagsterInstance) -> list[Finding]:
    """The newest results of the health checks; a check that was never looked at has none."""
    return [found for check in SUBJECTS for found in _of_check(instance, check)]


def _of_check(instance: dg.DagsterInstance, check: str) -> Iterator[Finding]:
    """The newest result, and since when it has been failing, as far back as is looked."""
    key = dg.AssetCheckKey(dg.AssetKey(HEALTH), check)
    looks = instance.event_log_storage.get_asset_check_execution_history(key, limit=_LOOKS, status=_LOOKED)
    evaluation = looks[0].evaluation if looks else None
    failing = list(takewhile(lambda it: it.status is AssetCheckExecutionRecordStatus.FAILED, looks))
    if evaluation is not None:
        yield Finding(
            check,
            passed=evaluation.passed,
            level="error" if evaluation.severity is dg.AssetCheckSeverity.ERROR else "warning",
            sentence=evaluation.description or "",
            looked=_time(looks[0]),
            run_id=looks[0].run_id,
            failing_since=min((_time(it) for it in failing), default=None),
        )


def _time(look: AssetCheckExecutionRecord) -> datetime:
    return datetime.fromtimestamp(look.create_timestamp, UTC)
