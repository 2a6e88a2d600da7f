"""Days of the pipeline's life on the simulator's clock: schedules evaluated, runs executed, every change followed.

Here belongs what measures how long a change at the source takes to show in the tables. Not here: how long it may take
(`test_staleness.py`, `bench/staleness.py`).
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from b2chat_pipeline.assets.rereads import DAYS_PER_RUN
from b2chat_pipeline.automation.hourly import MINUTE as HOURLY_MINUTE
from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.ingest.rereads import staleness
from b2chat_pipeline.ingest.sync import Order, run_sync
from b2chat_pipeline.policy import RequestClass, consecutive
from b2chat_pipeline.simulator import Clock, Simulator, World
from b2chat_pipeline.simulator.script import ChatScript
from b2chat_pipeline.simulator.world import visible_indexes
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER
from b2chat_pipeline.warehouse.budget import Limits
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.staleness import requests_sent
from b2chat_pipeline.windows import AccountClock, Window
from b2chat_pipeline_tests.loading_support import hours_between, rows, tools_for

# What the daemon takes to start a run, on a busy machine.
RUN_START = timedelta(seconds=20)
# What a page says of a chat, so that a change of it can be told from the state before.
State = tuple[object, ...]

_STATES = """
    select c.b2chat_id as chat, c.raw_status, extract(epoch from c.closed_at)::bigint as closed,
           extract(epoch from c.picked_up_at)::bigint as picked, extract(epoch from c.response_at)::bigint as answered,
           a.username, c.tags,
           (select count(*) from messages m where m.chat_id = c.id and m.superseded_at is null) as messages
      from chats c left join agents a on a.id = c.agent_id
"""


@dataclass(frozen=True)
class Change:
    """A moment at which a chat changed at the source."""

    at: int
    day: date
    index: int


@dataclass
class Watch:
    """Follows every change of chats up to an age in days, from its moment until the tables show it."""

    world: World
    url: str
    began: datetime
    oldest: int
    # Chats that have changed since they were last found up to date.
    pending: dict[tuple[date, int], list[Change]] = field(default_factory=lambda: defaultdict(list))
    lags: list[timedelta] = field(default_factory=list)
    _coming: list[Change] = field(default_factory=list)

    def expect(self, until: datetime) -> None:
        """Find all changes that will happen up to a time, from the one before on."""
        begin, end = self.began.timestamp(), int(until.timestamp())
        self.began = until
        last = self.world.local(end).date()
        for ordinal in range(self.world.first_day.toordinal(), last.toordinal() + 1):
            day = date.fromordinal(ordinal)
            for index in visible_indexes(self.world, day, end):
                moments = moments_of(self.world.chat(day, index))
                changes = (Change(at, day, index) for at in moments if begin < at <= end)
                self._coming += [it for it in changes if (self.world.local(it.at).date() - day).days <= self.oldest]
        self._coming.sort(key=lambda it: it.at, reverse=True)

    def look(self, now: datetime) -> None:
        """Compare what has changed by now with the tables."""
        while self._coming and self._coming[-1].at <= now.timestamp():
            change = self._coming.pop()
            self.pending[change.day, change.index].append(change)
        scripts = {self.world.chat(day, index).chat_id: (day, index) for day, index in self.pending}
        with connect(self.url, purpose="watch") as connection:
            held = {str(row.pop("chat")): row for row in rows(connection, _STATES) if row["chat"] in scripts}
        for chat_id, row in held.items():
            self._compare(scripts[chat_id], _stored_state(row), now)

    def oldest_pending(self, now: datetime) -> timedelta:
        """How long the oldest change has not been shown."""
        return max((now - _time(it.at) for changes in self.pending.values() for it in changes), default=timedelta())

    def _compare(self, place: tuple[date, int], held: State, now: datetime) -> None:
        script = self.world.chat(*place)
        moments = [at for at in moments_of(script) if at <= now.timestamp()]
        shown = next((at for at in reversed(moments) if state_at(script, at) == held), 0)
        changes = self.pending.pop(place)
        self.lags += [now - _time(it.at) for it in changes if it.at <= shown]
        if left := [it for it in changes if it.at > shown]:
            self.pending[place] = left


def _time(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def moments_of(script: ChatScript) -> list[int]:
    """The seconds at which what is told of a chat changes."""
    told = () if script.agent_started else script.messages
    return sorted({it.at for it in script.phases} | {it.at for it in told if it.at >= script.created_at})


def state_at(script: ChatScript, now: int) -> State:
    """What a page tells of a chat."""
    phase = script.phase(now)
    messages = 0 if script.agent_started else bisect_right([it.at for it in script.messages], now)
    agent = phase.agent.username if phase.agent else None
    times = (phase.closed_at, phase.picked_up_at, phase.responded_at)
    return (phase.status, *times, agent, sorted(phase.tags), messages)


def _stored_state(row: Mapping[str, object]) -> State:
    tags = row["tags"]
    assert isinstance(tags, list)
    return (
        row["raw_status"],
        row["closed"],
        row["picked"],
        row["answered"],
        row["username"],
        sorted(tags),
        row["messages"],
    )


@dataclass(frozen=True)
class Life:
    """The pipeline with both schedules, on a clock that runs while it works and jumps to what is due next."""

    simulator: Simulator
    url: str
    account: AccountClock
    per_day: int
    watch: Watch
    # How old each day was when it was read again, and how old it had been promised to get at most.
    kept: list[tuple[timedelta, timedelta]] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        """The clock of the source and of the pipeline."""
        return self.simulator.clock

    def live(self, until: datetime) -> None:
        """Do what both schedules would ask for up to a time, and follow the changes."""
        self.watch.expect(until)
        for at, is_hourly in _ticks(self.clock.now(), until):
            self.clock.set(max(at, self.clock.now()))
            if is_hourly:
                hour = at.replace(minute=0)
                self.sync("hourly", [Window(hour - timedelta(hours=1), hour)])
            else:
                self._read_again(at)
        self.clock.set(max(until, self.clock.now()))
        self.watch.look(self.clock.now())

    def longest_lag(self) -> timedelta:
        """The longest that a change took to show, or has not been shown by now."""
        return max([*self.watch.lags, self.watch.oldest_pending(self.clock.now())])

    def spent(self) -> dict[date, dict[str, int]]:
        """The requests of each day by kind of work, as the books have them."""
        with connect(self.url, purpose="compare") as connection:
            days = connection.execute("select day from ops.request_budget order by day").fetchall()
            return {day: requests_sent(connection, day) for (day,) in days}

    def received(self) -> dict[date, int]:
        """The requests of each day as the source has seen them."""
        return dict(Counter(self.account.day_of(request.time) for request in self.simulator.requests))

    def _read_again(self, at: datetime) -> None:
        with connect(self.url, purpose="schedule") as connection:
            told = staleness(connection, self.account, per_day=self.per_day, now=at)
        for first, last in consecutive(told.plan.due, most=DAYS_PER_RUN):
            self.clock.advance(RUN_START)
            now = self.clock.now()
            for day in told.plan.due:
                if first <= day <= last and (promised := told.plan.promised[day]):
                    self.kept.append((now - told.days[day].last_read, promised))
            self.sync("reread", hours_between(self.account, first, last, until=now))

    def sync(self, request_class: RequestClass, hours: Sequence[Window]) -> None:
        """One sync of some hours of chats, which must succeed."""
        order = Order(
            CHATS, hours, read=True, load=True, user_id=SYSTEM_USER, operation="incremental", run_id=request_class
        )
        limits = Limits(0, self.per_day)
        url, now = self.simulator.url, self.clock.now
        with tools_for(url, self.url, self.account, now=now, limits=limits, request_class=request_class) as tools:
            outcome = run_sync(order, tools)
        assert outcome.status == "success", outcome.failed
        self.watch.look(self.clock.now())


def _ticks(after: datetime, until: datetime) -> Iterator[tuple[datetime, bool]]:
    """When the schedules decide: every twenty minutes about re-reads, seven past about the last hour (True)."""
    at = after.replace(minute=0, second=0, microsecond=0)
    while at < until:
        for minute, is_hourly in ((0, False), (HOURLY_MINUTE, True), (20, False), (40, False)):
            moment = at + timedelta(minutes=minute)
            if after < moment <= until:
                yield moment, is_hourly
        at += timedelta(hours=1)


@contextmanager
def life(url: str, world: World, *, now: datetime, per_day: int) -> Iterator[Life]:
    """The pipeline with all days of an account loaded, when it is `now` and `per_day` requests may be sent a day."""
    clock, account = Clock(now, speed=1), AccountClock(world.zone)
    with Simulator(world, clock=clock, requests_per_day=per_day) as simulator:
        pipeline = Life(simulator, url, account, per_day, Watch(world, url, began=now, oldest=35))
        days = (account.day_of(now) - world.first_day).days + 1
        for offset in range(0, days, DAYS_PER_RUN):
            first = world.first_day + timedelta(days=offset)
            last = min(first + timedelta(days=DAYS_PER_RUN - 1), account.day_of(now))
            pipeline.sync("backfill", hours_between(account, first, last, until=now))
        yield pipeline
