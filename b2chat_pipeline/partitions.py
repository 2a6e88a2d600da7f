"""The hours that can be loaded, and the days that can be read again, as Dagster partitions in the account's own zone.

Here belongs the way between partition keys and windows. Not here: what an hour means for the API (`ingest/`). Keys are
opaque: where clocks change, a day has 23 or 25 of them.
"""

import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC
from zoneinfo import ZoneInfo

import dagster as dg

from b2chat_pipeline.settings import PLACEHOLDER_START, Account, SettingsError, read_account
from b2chat_pipeline.span import read_span, require_whole_hours
from b2chat_pipeline.windows import Window

# How Dagster's run tags name the partitions of a run: by the first and the last key, or by the only one.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_SINGLE = "dagster/partition"


def account_or_placeholder(environ: Mapping[str, str]) -> tuple[Account, str | None]:
    """The account's calendar; where it is not set, a placeholder in UTC and the sentence every run refuses with."""
    try:
        return read_account(environ), None
    except SettingsError as error:
        return Account(ZoneInfo("UTC"), PLACEHOLDER_START), str(error)


def hourly_partitions(account: Account) -> dg.HourlyPartitionsDefinition:
    """All hours from the account's first day to the last one that is over."""
    start = f"{account.first_day.isoformat()}-00:00"
    return dg.HourlyPartitionsDefinition(start_date=start, timezone=account.zone.key)


def daily_partitions(account: Account) -> dg.DailyPartitionsDefinition:
    """All days from the account's first one to today, whose chats change too."""
    return dg.DailyPartitionsDefinition(
        start_date=account.first_day.isoformat(), timezone=account.zone.key, end_offset=1
    )


def windows_of(partitions: dg.PartitionsDefinition, keys: Iterable[str]) -> dict[str, Window]:
    """The window of each partition key."""
    if not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        raise TypeError("only partitions by time have windows")
    windows = {}
    for key in keys:
        told = partitions.time_window_for_partition_key(key)
        windows[key] = Window(told.start.astimezone(UTC), told.end.astimezone(UTC))
    return windows


def offered_span(account: Account, start: str, end: str) -> Window:
    """The window from `start` to before `end`. Raises SettingsError where those are no hours on offer."""
    span = read_span(account, start, end)
    first, last = span.start.astimezone(account.zone), span.end.astimezone(account.zone)
    partitions = hourly_partitions(account)
    newest = partitions.get_last_partition_window()
    if newest is None or first < partitions.start or last > newest.end:
        offered = f"hours from {partitions.get_first_partition_key()} to {partitions.get_last_partition_key()} are"
        raise SettingsError(
            f"{start} .. {end} is not on offer: {offered if newest else 'no hour is over yet'} (B2CHAT_START_DATE, and"
            " the last hour that is over)."
        )
    require_whole_hours(span, account, start, end)
    return span


def hours_between(account: Account, start: str, end: str) -> list[str]:
    """The partition keys from `start` to before `end`. Raises SettingsError where those are no hours on offer."""
    span = offered_span(account, start, end)
    hours = dg.TimeWindow(span.start.astimezone(account.zone), span.end.astimezone(account.zone))
    return list(hourly_partitions(account).get_partition_keys_in_time_window(hours))


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run over the partitions from one key to another, both included."""
    return {RANGE_START: first, RANGE_END: last}


def range_of(tags: Mapping[str, str]) -> tuple[str, str] | None:
    """The first and the last partition key of a run, by its tags; None where it names none."""
    first = tags.get(RANGE_START) or tags.get(_SINGLE)
    return (first, tags.get(RANGE_END) or first) if first else None


def hours_so_far() -> dg.TimeWindowPartitionMapping:
    """A day depends on those of its hours that are over: else no backfill could contain the running day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of what it allows
        return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
