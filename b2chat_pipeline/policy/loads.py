"""What loading a range of hours will take, before it is begun. Not here: what is known of the account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from b2chat_pipeline.policy import PAGE_SIZE
from b2chat_pipeline.windows import AccountClock

# Loading a record with its messages, where no read has told yet how long that takes; measured, as all that follows.
RECORD_SECONDS = 0.002


@dataclass(frozen=True)
class Pace:
    """What a load takes beside its pages, in seconds: until its first run begins, the start of each run, and telling
    Dagster of an hour of the seven assets; in so many runs at once, of so many hours each.
    """

    begin: float
    run: float
    hour: float
    runs_at_once: int
    hours_per_run: int


# A run in the command's own process costs no start, and the progress is seen after each.
HOURS_AT_ONCE = 24
# A month. A run costs seconds of a processor before its first request, so a year of day-long ones would spend most of
# its time on starting them. A long run loses nothing: each day is committed as it is told, hours that are done are
# credited beside failed ones, and one that dies is run again and goes on after its last page.
HOURS_PER_RUN = 31 * 24
# Measured by `make bench-plan`, like the other one, on two cores that had little other work.
IN_ONE_PROCESS = Pace(begin=9.0, run=0.85, hour=0.01, runs_at_once=1, hours_per_run=HOURS_AT_ONCE)
# The daemon looks at backfills every 30 seconds, and its sensors start other runs meanwhile; the command ends a while
# after the last run.
BY_DAEMON = Pace(begin=22.0, run=12.0, hour=0.01, runs_at_once=3, hours_per_run=HOURS_PER_RUN)


@dataclass(frozen=True)
class SideExpected:
    """What is expected of one side of the API: the records of all hours, and the time that a page takes."""

    records: float
    seconds_per_page: float


@dataclass(frozen=True)
class Allowance:
    """The requests that history may use: what is left of today's and those of a whole day (None: any number), and so
    many a second (0: any number).
    """

    left: int | None
    per_day: int | None
    per_second: float


@dataclass(frozen=True)
class LoadPlan:
    """What a load takes: on how many days of the account requests are sent, and when it is done."""

    hours: int
    records: int
    requests: int
    days: int
    finished: datetime

    def sentences(self, zone: tzinfo) -> str:
        """It all, for people of a zone to read."""
        days = "today" if self.days == 1 else f"over {self.days:,} days, by the share of requests that history may use"
        return (
            f"{self.hours:,} hours, about {self.records:,} records: {self.requests:,} requests.\nThey are sent {days};"
            f" begun now, it is done about {self.finished.astimezone(zone):%Y-%m-%d %H:%M}."
        )


def plan_load(
    sides: Mapping[str, SideExpected],
    *,
    hours: int,
    pace: Pace,
    allowance: Allowance,
    clock: AccountClock,
    now: datetime,
) -> LoadPlan:
    """Requests, days and end of a load of so many hours.

    Each run reads one list of each side, whose pages overlap by a record, with a token of its own for each.
    """
    runs = -(-hours // pace.hours_per_run)
    pages = {side: max(1.0, it.records / runs / (PAGE_SIZE - 1)) for side, it in sides.items()}
    requests = runs * sum(-int(-it // 1) + 1 for it in pages.values())
    # Runs beside each other start at once; their work shares the machine.
    seconds = pace.begin + -(-runs // pace.runs_at_once) * pace.run + hours * pace.hour
    for side, it in sides.items():
        seconds += (
            runs * pages[side] * max(it.seconds_per_page, 1 / allowance.per_second if allowance.per_second else 0.0)
        )
    records = round(sum(it.records for it in sides.values()))
    days, rest = _days(requests, allowance)
    if days == 1:
        return LoadPlan(hours, records, requests, days, now + timedelta(seconds=seconds))
    last = clock.day_window(clock.day_of(now) + timedelta(days=days - 1)).start
    return LoadPlan(hours, records, requests, days, last + timedelta(seconds=seconds * rest / requests))


def _days(requests: int, allowance: Allowance) -> tuple[int, int]:
    """On how many days that many requests can be sent, and how many of them on the last one."""
    if allowance.left is None or not allowance.per_day or requests <= allowance.left:
        return 1, requests
    later = requests - allowance.left
    days = -(-later // allowance.per_day)
    return 1 + days, later - (days - 1) * allowance.per_day
