"""Chats as plain Python sees them: read from the core tables, measured without SQL.

Here belongs what one chat tells. Not here: what the marts make of many.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import groupby, pairwise, zip_longest
from typing import Any, cast
from zoneinfo import ZoneInfo

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.types.datetime import TimestamptzLoader

from b2chat_pipeline_tests.loading_support import rows

Row = dict[str, Any]
CLOSED = {"CLOSED", "COMPLETING_POLL", "COMPLETED_POLL", "ABANDONED_POLL", "CLOSED_BY_CONTACT", "LEFT_BY_CONTACT"}
OPEN = {"BOT_CHATTING", "OPENED", "PICKED_UP", "RESPONDED_BY_AGENT"}
SURVEYS = {"COMPLETING_POLL": "pending", "COMPLETED_POLL": "completed", "ABANDONED_POLL": "abandoned"}
TARGETS = {"pickup": 120, "first_response": 300, "resolution": 7200}
PAD = timedelta(minutes=2)
# What `infinity` is taken for.
FOREVER = datetime.max.replace(tzinfo=UTC)
_MASKED = ("agents", "chats", "contacts", "departments", "messages")
_JUDGED = ("analysis_labels", "analysis_trials")
_LOADED = "select endpoint, hour_start from ops.window_reads where applied_read_at is not null"


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """None where an end is missing, or they are the wrong way round."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


@dataclass(frozen=True)
class Openings:
    """The business hours of one calendar, and for which time they are known."""

    spans: Sequence[tuple[datetime, datetime]]
    known_from: datetime
    known_until: datetime

    def seconds(self, start: datetime | None, end: datetime | None) -> float | None:
        if start is None or end is None or not self.known_from <= start <= end <= self.known_until:
            return None
        overlaps = ((max(start, opens), min(end, closes)) for opens, closes in self.spans)
        return sum((last - first).total_seconds() for first, last in overlaps if last > first)

    def used_up(self, start: datetime, seconds: float) -> datetime:
        """The first instant by which so many seconds have passed."""
        left = seconds
        for opens, closes in self.spans:
            begins = max(opens, start)
            if begins < closes and (closes - begins).total_seconds() >= left:
                return begins + timedelta(seconds=left)
            left -= max(0, (closes - begins).total_seconds())
        raise AssertionError("no calendar of a test is as short as that")

    def wait(self, at: datetime) -> float | None:
        """Seconds until it is open; 0 while it is."""
        if at < self.known_from:
            return None
        return min((max(opens, at) - at).total_seconds() for opens, closes in self.spans if closes > at)


@dataclass(frozen=True)
class Turn:
    """A run of messages of the customer, and the message that answers it."""

    started_at: datetime
    last_at: datetime
    reply_at: datetime | None


@dataclass(frozen=True, eq=False)
class Chat:
    """One chat with its messages and changes, each in order."""

    row: Row
    zone: ZoneInfo
    openings: Openings | None
    told: Sequence[Row] = ()
    changes: Sequence[Row] = ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a column of the chat
        return self.row[name]

    @property
    def created_day(self) -> date:
        return self.day_of(self.created_at)

    @property
    def is_closed(self) -> bool:
        return self.status == "closed" or (self.status == "unknown" and self.closed_at is not None)

    @property
    def finished_at(self) -> datetime | None:
        return self.closed_at if self.is_closed else None

    @property
    def has_messages(self) -> bool:
        return bool(self.told)

    @cached_property
    def direction(self) -> str:
        if self.told:
            first = self.told[0]
            return "inbound" if first["incoming"] else "broadcast" if first["broadcasted"] else "outbound"
        return "outbound" if self.picked_up_at is not None and self.picked_up_at == self.opened_at else "unknown"

    @cached_property
    def talk(self) -> list[Row]:
        """The messages without broadcasts and without what follows the closing."""
        end = self.finished_at
        return [it for it in self.told if not it["broadcasted"] and (end is None or it["timestamp"] <= end)]

    @cached_property
    def runs(self) -> list[list[Row]]:
        return [list(run) for _, run in groupby(self.talk, key=lambda message: message["incoming"])]

    @cached_property
    def turns(self) -> list[Turn]:
        return [
            Turn(run[0]["timestamp"], run[-1]["timestamp"], after[0]["timestamp"] if after else None)
            for run, after in zip_longest(self.runs, self.runs[1:])
            if run[0]["incoming"]
        ]

    @property
    def is_unattended(self) -> bool | None:
        return self.talk[-1]["incoming"] if self.talk else None

    @property
    def touches(self) -> int:
        picked = self.picked_up_at
        if picked is None:
            return 0
        return sum(not run[0]["incoming"] and run[-1]["timestamp"] >= picked for run in self.runs)

    @property
    def reopens(self) -> int:
        return sum(it["field"] == "status" and it["old"] in CLOSED and it["new"] in OPEN for it in self.changes)

    @property
    def is_transferred(self) -> bool:
        return any(it["field"] in {"agent", "department"} and it["old"] and it["new"] for it in self.changes)

    @property
    def passed_bot(self) -> bool:
        told = {it["old"] for it in self.changes} | {it["new"] for it in self.changes} | {self.raw_status}
        return "BOT_CHATTING" in told

    @property
    def survey(self) -> str | None:
        return SURVEYS.get(self.raw_status)

    @property
    def rating(self) -> int | None:
        answers = (
            [
                int(it["text"].strip())
                for it in self.told
                if it["incoming"] and it["timestamp"] > self.closed_at and (it["text"] or "").strip() in set("12345")
            ]
            if self.survey == "completed"
            else []
        )
        return answers[-1] if answers else None

    @property
    def is_missed(self) -> bool | None:
        if self.direction != "inbound" or self.is_agent_available is None:
            return None
        if self.is_agent_available:
            return False
        if self.response_at is None:
            return True if self.is_closed else None
        met = self.verdict("first_response")
        return None if met is None else not met

    @property
    def is_abandoned_by_customer(self) -> bool:
        if not self.talk or self.picked_up_at is None:
            return False
        last = self.talk[-1]
        asked = not last["incoming"] and last["timestamp"] >= self.picked_up_at and "?" in (last["text"] or "")
        return asked and self.closed_at - last["timestamp"] >= timedelta(hours=24)

    @property
    def score(self) -> float | None:
        if self.direction != "inbound" or (self.response_at is None and not self.is_closed):
            return None
        if self.response_at is None:
            return 0
        waited = seconds_between(self.created_at, self.response_at)
        return None if waited is None else 100 * max(0, min(1, (1200 - waited) / 900))

    @cached_property
    def active(self) -> list[tuple[datetime, datetime]]:
        """When somebody wrote, two minutes around, as far as the chat was in hand."""
        if self.picked_up_at is None:
            return []
        end = self.finished_at or FOREVER
        padded = ((max(it["timestamp"] - PAD, self.picked_up_at), min(it["timestamp"] + PAD, end)) for it in self.talk)
        return merged([span for span in padded if span[0] < span[1]])

    def durations(self) -> Iterator[tuple[str, str, float | None]]:
        """Every duration that is asked of the chat or its turns, in both forms."""
        inbound, closed = self.direction == "inbound", self.finished_at
        clocks = {
            "queue_wait": (inbound, self.opened_at, self.picked_up_at),
            "first_response": (inbound, self.created_at, self.response_at),
            "first_response_from_opening": (inbound, self.opened_at, self.response_at),
            "first_response_after_pickup": (inbound, self.picked_up_at, self.response_at),
            "resolution": (True, self.created_at, closed),
            "first_resolution": (True, self.created_at, None if self.reopens else closed),
        }
        for metric, (applies, start, end) in clocks.items():
            if applies:
                yield from self._both(metric, start, end)
        yield "handle", "calendar", seconds_between(self.picked_up_at, closed)
        yield "handle_active", "calendar", self._active_seconds()
        yield "longest_silence", "calendar", self._silence()
        if self.passed_bot:
            measured = self.opened_at is not None and self.opened_at > self.created_at
            yield "bot", "calendar", seconds_between(self.created_at, self.opened_at) if measured else None
        if self.direction in {"outbound", "broadcast"}:
            yield "customer_first_reply", "calendar", self._first_reply()
        for turn in self.turns:
            yield from self._both("next_reply", turn.started_at, turn.reply_at)
            by_bot = turn.reply_at is not None and (self.picked_up_at is None or turn.reply_at < self.picked_up_at)
            if not by_bot:
                yield from self._both("next_agent_reply", turn.started_at, turn.reply_at)

    def clocks(self) -> Iterator[tuple[str, datetime | None, datetime | None, datetime | None]]:
        """Each promise: its name, its start, its end, and where it stopped."""
        ends = {"pickup": self.picked_up_at, "first_response": self.response_at, "resolution": self.finished_at}
        for name, end in ends.items():
            start = self.opened_at if name == "pickup" else self.created_at
            yield name, start, end, end or self.finished_at

    def verdict(self, clock: str) -> bool | None:
        """Whether a promise of the default policy was kept; None where nothing can be said."""
        for name, start, end, stopped in self.clocks():
            elapsed = seconds_between(start, stopped)
            if name == clock and elapsed is not None:
                if end is not None:
                    return elapsed <= TARGETS[clock]
                return False if elapsed > TARGETS[clock] else None
        return None

    def day_of(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()

    def hour_of(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(minute=0, second=0, microsecond=0)

    def _both(
        self, metric: str, start: datetime | None, end: datetime | None
    ) -> Iterator[tuple[str, str, float | None]]:
        yield metric, "calendar", seconds_between(start, end)
        yield metric, "business", self.openings.seconds(start, end) if self.openings else None

    def _active_seconds(self) -> float | None:
        if not self.talk or seconds_between(self.picked_up_at, self.finished_at) is None:
            return None
        return sum((end - start).total_seconds() for start, end in self.active)

    def _silence(self) -> float | None:
        gaps = [
            (after["timestamp"] - before["timestamp"]).total_seconds()
            for before, after in pairwise(self.talk)
            if self.picked_up_at is not None and before["timestamp"] >= self.picked_up_at
        ]
        return max(gaps, default=None)

    def _first_reply(self) -> float | None:
        out = [it["timestamp"] for it in self.told if not it["incoming"]]
        heard = [it["timestamp"] for it in self.talk if it["incoming"]]
        return seconds_between(out[0], heard[0]) if out and heard else None


def merged(spans: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The union of some spans."""
    union: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


@dataclass(frozen=True, eq=False)
class Account:
    """All chats that count, and until when they are loaded."""

    chats: Sequence[Chat]
    loaded_until: datetime
    zone: ZoneInfo
    ancestors: Mapping[str | None, Sequence[str | None]]
    # The ledger of all loads, and the hours that were loaded by endpoint.
    ledger: Sequence[Row]
    hours: Mapping[str, Sequence[datetime]]
    # The rows of tables that analysts see masked, and of those that hold what people and models on trial judged.
    tables: Mapping[str, Sequence[Row]]
    scorings: Sequence[Row]
    calls: Sequence[Row]


def read_account(connection: Connection, zone: ZoneInfo) -> Account:
    """Everything the marts are made of, from the tables that were loaded."""
    told = _by_chat(connection, "select * from messages where superseded_at is null order by timestamp, position, id")
    changes = _by_chat(connection, "select * from ops.chat_history order by seen_at")
    openings = _openings(connection)
    chats = [
        Chat(chat, zone, openings, told.get(str(chat["id"]), []), changes.get(str(chat["id"]), []))
        for chat in table_rows(connection, "select * from chats where not is_deleted order by created_at, id")
    ]
    parents = {it["id"]: it["parent_id"] for it in table_rows(connection, "select id, parent_id from departments")}
    ancestors = {it: list(_upwards(it, parents)) for it in parents} | {None: [None]}
    hours = {
        endpoint: [it["hour_start"] for it in table_rows(connection, _LOADED) if it["endpoint"] == endpoint]
        for endpoint in ("/chats/export", "/contacts/export")
    }
    until = max(hours["/chats/export"]) + timedelta(hours=1)
    ledger = table_rows(connection, "select * from ops.ledger")
    tables = {name: table_rows(connection, f"select * from {name}") for name in (*_MASKED, *_JUDGED)}  # noqa: S608 - of ours
    scorings = table_rows(connection, "select * from effectiveness_analysis order by created_at, id")
    calls = table_rows(connection, "select * from ops.analysis_calls")
    return Account(chats, until, zone, ancestors, ledger, hours, tables, scorings, calls)


def _openings(connection: Connection) -> Openings | None:
    """The calendar that is kept without another."""
    spans = table_rows(connection, "select * from ops.business_hours where calendar = 'default' order by opens_at")
    for known in table_rows(connection, "select * from ops.calendars where calendar = 'default'"):
        return Openings([(it["opens_at"], it["closes_at"]) for it in spans], known["known_from"], known["known_until"])
    return None


def _by_chat(connection: Connection, query: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in table_rows(connection, query):
        found.setdefault(str(row["chat_id"]), []).append(row)
    return found


def _upwards(department: str | None, parents: Mapping[str, str | None]) -> Iterator[str | None]:
    while department is not None:
        yield department
        department = parents[department]


def table_rows(connection: Connection, query: str) -> list[Row]:
    """The rows of a query, their values as they are."""
    connection.adapters.register_loader("timestamptz", _Instants)
    return cast("list[Row]", rows(connection, query))


class _Instants(TimestamptzLoader):
    """Python has no instant like `infinity`."""

    def load(self, data: Buffer) -> datetime:
        return FOREVER if bytes(data) == b"infinity" else super().load(data)
