"""Whether the pipeline is well: what is known of it is judged here, each with a sentence and the next step.

Not here: finding out (`warehouse/health.py`, `assets/hours.py`), the asset checks (`assets/health.py`), the screen of
`b2chat doctor`, which shows some of the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from b2chat_pipeline.policy import REREAD_LATENCY, REREAD_TICK
from b2chat_pipeline.policy.gaps import SideHours

# note: nobody has to act on it at once; bad: somebody has to put it right.
Trouble = Literal["note", "bad"]

# The hour that ended is loaded within minutes. Two in a row are missing by the first of these, a morning by the other.
LATE, VERY_LATE = timedelta(hours=2), timedelta(hours=6)
# By then the sensor `gaps` should have tried eight times.
LEFT_ALONE = timedelta(days=3)
# Of a day's requests.
NEARLY_USED_UP = 0.95
# Of the records received on a day: more is no odd record any more, but a change at the source.
MOST_PUT_ASIDE = 0.01
# Rows of raw pages must never lack their week.
WEEKS_AHEAD = timedelta(days=7)
# Ranges, days and kinds that a sentence names one by one; the rest are counted.
NAMED = 12
# Commands that it names one by one.
_COMMANDS = 3


@dataclass(frozen=True)
class Judgement:
    """What was found of one subject: no trouble, or which, and what mends it; figures to plot beside it, and a list
    that is too long for a sentence.
    """

    told: str
    trouble: Trouble | None = None
    mend: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    listed: str = ""


def judge_newest_hour(loaded_until: datetime | None, *, now: datetime) -> Judgement:
    """How old the end of the newest hour is that was read completely and loaded; None where none was."""
    if loaded_until is None:
        return Judgement("no hour was loaded so far", "note", "wait for the next hour, or run b2chat load FROM TO")
    age = now - loaded_until
    figures = {"age_hours": _hours(age)}
    told = f"the newest loaded hour ended {_hours(age):.1f} hours ago"
    if age <= LATE:
        return Judgement(told, figures=figures)
    trouble: Trouble = "bad" if age > VERY_LATE else "note"
    return Judgement(told, trouble, "read the newest run of hourly_sync, then b2chat doctor", figures)


def judge_hours(hours: SideHours, *, given_up: Sequence[datetime] = (), now: datetime, zone: ZoneInfo) -> Judgement:
    """Whether hours of one side failed, or are missing that are not history; with the list of all of them.

    `given_up` are those that the sensor `gaps` asks for no more, in order.
    """
    gaps = hours.gaps()
    figures = {
        "loaded_hours": len(hours.loaded),
        "failed_or_missing_hours": len(gaps),
        "given_up_hours": len(given_up),
    }
    if not gaps:
        return Judgement(f"{len(hours.loaded):,} are loaded, none failed or is missing", figures=figures)
    ranges = list(_ranges(gaps))
    named = [f"{_local(first, zone)} to {_local(end, zone)}" for first, end in ranges]
    told = f"{len(gaps):,} failed or are missing: {_some(named)}"
    if given_up:
        told = f"{len(given_up):,} hours were tried eight times and given up; of all, {told}"
        mend = f"{_loads(given_up, zone)}, once the cause is mended"
        return Judgement(told, "bad", mend, figures, "\n".join(named))
    if gaps[0] > now - LEFT_ALONE:
        return Judgement(told, "note", "nothing: the sensor gaps has them loaded", figures, "\n".join(named))
    return Judgement(told, "bad", f"{_loads(gaps, zone)}, once the cause is mended", figures, "\n".join(named))


def judge_promise(
    last_reads: Mapping[date, datetime], promised: Mapping[date, timedelta | None], *, now: datetime
) -> Judgement:
    """Whether each day whose chats may change was read again as soon as `chat_updates` promises (None: never)."""
    ages = {day: now - last_reads[day] for day in promised}
    late = {
        day: within
        for day, within in promised.items()
        if within is not None and ages[day] > within + REREAD_TICK + REREAD_LATENCY
    }
    oldest = max(ages.values(), default=timedelta())
    figures = {"oldest_hours": _hours(oldest), "late_days": len(late)}
    if not late:
        return Judgement(f"{len(promised):,} days may change, each was read again as promised", figures=figures)
    named = _some([day.isoformat() for day in sorted(late, reverse=True)])
    told = f"{len(late):,} days are older than promised: {named}"
    trouble: Trouble = "bad" if any(ages[day] > 2 * within for day, within in late.items()) else "note"
    return Judgement(told, trouble, "read the newest runs and ticks of chat_updates", figures)


def judge_budget(sent: int, per_day: int, *, blocked_until: datetime | None, zone: ZoneInfo) -> Judgement:
    """What is left of the day's requests; `per_day` is 0 where there is no ceiling."""
    figures = {"requests_today": sent} | ({"requests_left": max(0, per_day - sent)} if per_day else {})
    if blocked_until is not None:
        told = f"B2Chat asked for a pause until {_local(blocked_until, zone)}"
        return Judgement(told, "note", "nothing: every process waits until then", figures)
    told = f"{sent:,} of {per_day:,} requests of today are used" if per_day else f"{sent:,} requests today, no ceiling"
    if per_day and sent >= NEARLY_USED_UP * per_day:
        return Judgement(told, "note", "wait for tomorrow, or raise B2CHAT_REQUESTS_PER_DAY", figures)
    return Judgement(told, figures=figures)


def judge_quarantine(still_open: int, *, put_aside: int, received: int) -> Judgement:
    """Records that do not fit: those that are open, and those put aside on the last day of those received on it."""
    rate = put_aside / received if received else 0.0
    figures = {"open_records": still_open, "put_aside_today": put_aside, "rate_today": rate}
    if not still_open:
        return Judgement("no record is put aside", figures=figures)
    told = f"{still_open:,} records do not fit the tables, {rate:.2%} of those of the last day"
    return Judgement(told, "bad" if rate > MOST_PUT_ASIDE else "note", "b2chat quarantine list", figures)


def judge_drift(kinds: Sequence[str]) -> Judgement:
    """Departures of the API from its contract that the last day saw for the first time."""
    figures = {"new_departures": len(kinds)}
    if not kinds:
        return Judgement("the last day brought nothing unknown", figures=figures)
    told = f"{len(kinds):,} departures from the contract are new: {_some(kinds)}"
    return Judgement(told, "note", "look at ops.contract_drift: what is needed of it has to be mapped", figures)


def judge_partitions(ahead_until: datetime | None, *, strays: int, now: datetime) -> Judgement:
    """Whether raw pages of the next days have their week; `strays` are rows that had none."""
    ahead = ahead_until - now if ahead_until else timedelta()
    figures = {"days_ahead": round(ahead / timedelta(days=1), 1), "rows_outside_any_week": strays}
    if ahead >= WEEKS_AHEAD and not strays:
        return Judgement(f"weeks are made for {ahead.days} days to come", figures=figures)
    told = f"weeks are made for {max(0, ahead.days)} days to come, and {strays:,} rows lie outside any week"
    return Judgement(told, "bad" if strays else "note", "b2chat db retain, which makes weeks and moves rows", figures)


def judge_audit(syncs: int, *, without: int) -> Judgement:
    """Whether each sync that ended on the last day has its row in audit_logs."""
    figures = {"syncs": syncs, "without_audit_row": without}
    if not without:
        return Judgement(f"each of {syncs:,} syncs of the last day has its row", figures=figures)
    told = f"{without:,} of {syncs:,} syncs of the last day have no row in audit_logs"
    return Judgement(told, "bad", "find out who deletes rows of audit_logs, or disables their writing", figures)


def _ranges(hours: Sequence[datetime]) -> Sequence[tuple[datetime, datetime]]:
    """Hours in order, each stretch of them as its start and its end."""
    ranges: list[tuple[datetime, datetime]] = []
    for hour in hours:
        end = hour + timedelta(hours=1)
        if ranges and ranges[-1][1] == hour:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((hour, end))
    return ranges


def _loads(hours: Sequence[datetime], zone: ZoneInfo) -> str:
    """The commands that load some hours; where these are many, one that loads those between them too."""
    ranges = _ranges(hours)
    if len(ranges) > _COMMANDS:
        ranges = [(ranges[0][0], ranges[-1][1])]
    return ", ".join(f"b2chat load {_local(first, zone, 'T')} {_local(end, zone, 'T')}" for first, end in ranges)


def _some(named: Sequence[str]) -> str:
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more


def _local(moment: datetime, zone: ZoneInfo, between: str = " ") -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d{between}%H:%M}"


def _hours(span: timedelta) -> float:
    return round(span / timedelta(hours=1), 2)
