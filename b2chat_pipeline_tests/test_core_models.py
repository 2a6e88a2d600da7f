"""The core models say of any chat what an independent, slow computation says of it, to the second."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from b2chat_pipeline.operations.applying import Account, apply
from b2chat_pipeline.operations.configuration import parse
from b2chat_pipeline.simulator import World
from b2chat_pipeline.transform.target import Days
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.business_time import WallCalendar
from b2chat_pipeline_tests.loading_support import all_loaded, running_pipeline
from b2chat_pipeline_tests.metric_reference import Change, Chat, Message, Policy, Rules, metrics_of, turns_of
from b2chat_pipeline_tests.metric_support import build_core, differences, measured, store, stored_chats, turns
from b2chat_pipeline_tests.postgres import PostgresServer

NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
# Clocks go forward on the second Sunday; the hours of `late` are known from the day before on.
CONFIGURATION = """
calendars:
  default:
    - valid_from: 2025-01-01
      hours:
        monday: ["08:00-12:00", "13:00-18:00"]
        tuesday: ["08:00-12:00", "13:00-18:00"]
        wednesday: ["08:00-12:00", "13:00-18:00"]
        thursday: ["08:00-12:00", "13:00-18:00"]
        friday: ["08:00-12:00", "13:00-18:00"]
        sunday: ["00:00-24:00"]
      holidays: {country: CO}
      closed: [2025-03-11]
  late:
    - valid_from: 2025-03-08
      hours: {monday: ["16:00-24:00"], tuesday: ["00:00-02:00"], sunday: ["01:30-03:30"]}
departments:
  - name: Ayuda ☎
    calendar: late
sla:
  - policy: default
    targets: {pickup: 120, first_response: 300, resolution: 7200}
  - policy: default
    valid_from: 2025-03-12
    targets: {pickup: 60, first_response: 200, resolution: 3600}
  - policy: urgent
    priority: urgent
    in_business_hours: true
    targets: {first_response: 100}
  - policy: web
    channel: livechat
    targets: {pickup: 30, first_response: 60}
"""
# From 16 March on the department keeps the default calendar.
CHANGED = CONFIGURATION.replace("calendar: late", "calendar: default")
WEEK = {weekday: ["08:00-12:00", "13:00-18:00"] for weekday in WEEKDAYS} | {"sunday": ["00:00-24:00"]}
LATE = {"monday": ["16:00-24:00"], "tuesday": ["00:00-02:00"], "sunday": ["01:30-03:30"]}


def new_york(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=NEW_YORK)  # type: ignore[arg-type,misc]


def wall(since: date, hours: dict[str, list[str]], *holidays: date) -> WallCalendar:
    week = {"valid_from": since, "hours": hours}
    return WallCalendar([week], frozenset(holidays), NEW_YORK, date(2025, 3, 1), date(2025, 4, 10))


RULES = Rules(
    NEW_YORK,
    calendars={
        "default": wall(date(2025, 1, 1), WEEK, date(2025, 3, 11), date(2025, 3, 24)),
        "late": wall(date(2025, 3, 8), LATE),
    },
    departments={"Ayuda ☎": [(None, "late"), (new_york(2025, 3, 16), "default")]},
    policies=[
        Policy(
            "default", 2, {"pickup": 120, "first_response": 300, "resolution": 7200}, valid_to=new_york(2025, 3, 12)
        ),
        Policy(
            "default", 3, {"pickup": 60, "first_response": 200, "resolution": 3600}, valid_from=new_york(2025, 3, 12)
        ),
        Policy("urgent", 1, {"first_response": 100}, priority="urgent", business=True),
        Policy("web", 1, {"pickup": 30, "first_response": 60}, channel="livechat"),
    ],
)

# What holds until something is configured.
DEFAULT = Policy("default", 1, {"pickup": 120, "first_response": 300, "resolution": 7200})

# Where something turns: targets, windows, lunch breaks, days.
EDGES = (0, 1, 30, 31, 60, 61, 100, 120, 121, 200, 300, 301, 3600, 3601, 7200, 86_399, 86_400, 86_401, 90_000)
AFTERWARDS = st.sampled_from(EDGES) | st.integers(-300, 600_000)
# From one moment of a chat to another, so that they often meet.
APART = st.sampled_from((0, 0, 0, 0, 0, 1, -1, 60, -60, 61, 86_400, -86_400, 86_401))
WORDS = ("CLOSED", "COMPLETED_POLL", "COMPLETING_POLL", "ABANDONED_POLL", "LEFT_BY_CONTACT", "CLOSED_BY_CONTACT")
STATUSES = (*WORDS, "OPENED", "PICKED_UP", "RESPONDED_BY_AGENT", "BOT_CHATTING", "PARKED")
TEXTS = (None, "", "?", "hola", "¿Algo más?", "really?", "5", " 3\n", "10", "٣", "👍🏽")


def moments(draw: st.DrawFn, created: datetime) -> st.SearchStrategy[datetime]:
    """Instants of one chat: some, and what lies about them."""
    some = draw(st.lists(AFTERWARDS, min_size=1, max_size=3))
    return st.builds(lambda one, apart: created + timedelta(seconds=one + apart), st.sampled_from((0, *some)), APART)


@st.composite
def messages(draw: st.DrawFn, moment: st.SearchStrategy[datetime]) -> Message:
    return Message(
        at=draw(moment),
        incoming=draw(st.booleans()),
        text=draw(st.sampled_from(TEXTS)),
        broadcasted=draw(st.sampled_from((False, False, False, None, True))),
        kind=draw(st.sampled_from(("text", "text", "image", "file"))),
        backed_up=draw(st.booleans()),
        superseded=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def histories(draw: st.DrawFn, created: datetime) -> tuple[Change, ...]:
    changes, before = [], created
    for _ in range(draw(st.integers(0, 3))):
        seen = before + timedelta(seconds=draw(st.integers(1, 90_000)))
        what = draw(st.sampled_from(("status", "status", "agent", "department", "deleted")))
        values = (
            st.sampled_from(STATUSES)
            if what == "status"
            else st.sampled_from((None, "one", "other", "CLOSED", "OPENED", "BOT_CHATTING"))
        )
        changes.append(Change(what, draw(values), draw(values), before, seen))
        before = seen
    return tuple(changes)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    midnight = new_york(2025, 3, draw(st.integers(6, 19))).astimezone(UTC)
    created = midnight + timedelta(seconds=draw(st.just(0) | st.integers(0, 86_400)))
    opened = draw(st.sampled_from((created, created, created + timedelta(seconds=40), None)))
    moment = moments(draw, created)
    clock = st.none() | moment | moment | moment
    department = draw(st.sampled_from((None, "Ventas", "Ayuda ☎")))
    return Chat(
        key="",
        created=created,
        raw_status=draw(st.sampled_from(STATUSES)),
        opened=opened,
        picked_up=draw(st.just(opened) | clock),
        response=draw(clock),
        closed=draw(clock),
        provider=draw(st.sampled_from(("whatsapp", "whatsapp", "livechat", "facebook"))),
        priority=draw(st.sampled_from(("normal", "normal", "urgent"))),
        department=department,
        department_id=department and f"department {department}",
        agent_id=draw(st.sampled_from((None, "agent one", "agent two"))),
        contact_id=draw(st.sampled_from((None, "contact one", "contact two"))),
        alias=draw(st.sampled_from((None, "Brand"))),
        available=draw(st.sampled_from((None, True, False))),
        tags=draw(st.sampled_from(((), ("Pedido ☂", "o'clock"), ('"', "\\")))),
        messages=tuple(draw(st.lists(messages(moment), max_size=7))),
        history=draw(histories(created)),
        is_deleted=draw(st.integers(0, 9)) == 9,
    )


def _unlikely() -> Iterator[Chat]:
    """Chats that chance hardly makes."""
    created = new_york(2025, 3, 10, 9).astimezone(UTC)
    noon, one, two = (created + timedelta(hours=hours) for hours in (3, 4, 5))
    wrote = Message(created, incoming=True)
    # An agent whose key is the word of a status.
    changes = (Change("agent", "CLOSED", "one", noon, one), Change("status", "CLOSED", "OPENED", one, two))
    yield Chat("named like a status", created, "OPENED", history=changes)
    # Closed before anybody saw it, and again.
    changes = (Change("status", "CLOSED", "PICKED_UP", noon, one), Change("status", "PICKED_UP", "CLOSED", one, two))
    yield Chat("closed twice", created, "CLOSED", closed=two, history=changes)
    # At one instant and place: the key of a message decides which is the last.
    asked = (wrote, wrote, Message(noon, incoming=False, text="Bien"), Message(noon, incoming=False, text="¿Algo más?"))
    yield Chat("asked", created, "CLOSED", created, created, noon, noon + timedelta(days=1), messages=asked)
    rated = (wrote, wrote, Message(one, incoming=True, text="4"), Message(one, incoming=True, text="5"))
    yield Chat("rated", created, "COMPLETED_POLL", created, created, noon, noon, messages=rated)


UNLIKELY = tuple(_unlikely())


@dataclass(frozen=True)
class Warehouse:
    """A warehouse with the rules above."""

    connection: Connection
    zone: str

    def check(self, chats: Sequence[Chat], rules: Rules) -> None:
        """Compare both models with the reference."""
        metrics, found = measured(self.connection), turns(self.connection)
        counted = [chat for chat in chats if not chat.is_deleted]
        wrong: dict[str, dict[str, tuple[object, object]]] = {}
        for chat in counted:
            differing = differences(metrics_of(chat, rules), metrics[chat.key])
            told, said = turns_of(chat, rules), found.get(chat.key, [])
            differing |= {"number of turns": (len(told), len(said))} if len(told) != len(said) else {}
            for one, other in zip(told, said, strict=False):
                differing |= differences(one, other)
            wrong |= {chat.key: differing} if differing else {}
        assert wrong == {}
        assert metrics.keys() == {chat.key for chat in counted}
        assert found.keys() <= metrics.keys()


@contextmanager
def configured_warehouse(server: PostgresServer) -> Iterator[Warehouse]:
    """A warehouse of its own with the rules above."""
    with server.database(migrated=True) as url, connect(url, purpose="test") as connection:
        before, later = datetime(2025, 1, 2, tzinfo=UTC), new_york(2025, 3, 15, 12).astimezone(UTC)
        ensure_users(connection, (), now=before)
        clock = AccountClock(NEW_YORK)
        apply(connection, parse(CONFIGURATION.encode()), Account(clock, SYSTEM_USER, before))
        store(connection, [Chat("first", later, "OPENED")])
        apply(connection, parse(CHANGED.encode()), Account(clock, SYSTEM_USER, later))
        yield Warehouse(connection, NEW_YORK.key)


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    with configured_warehouse(postgres_server) as configured:
        yield configured


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(made=st.lists(chats(), min_size=1, max_size=8))
def test_any_chats_are_measured_as_the_reference_measures_them(warehouse: Warehouse, made: list[Chat]) -> None:
    keyed = [replace(chat, key=f"chat-{number}") for number, chat in enumerate(made)]
    store(warehouse.connection, keyed)

    build_core(warehouse.connection, warehouse.zone)

    warehouse.check(keyed, RULES)


def test_what_happens_at_once_or_is_named_like_a_status_is_measured_as_the_reference_measures_it(
    warehouse: Warehouse,
) -> None:
    store(warehouse.connection, UNLIKELY)

    build_core(warehouse.connection, warehouse.zone)

    warehouse.check(UNLIKELY, RULES)


def test_a_day_holds_the_chats_from_its_midnight_up_to_the_next(warehouse: Warehouse) -> None:
    begins, ends = (new_york(2025, 3, day).astimezone(UTC) for day in (9, 10))
    moments = {"before": begins - timedelta(seconds=1), "first": begins, "last": ends - timedelta(seconds=1)}
    made = [Chat(key, at, "OPENED", messages=(Message(at, incoming=True),)) for key, at in moments.items()]
    store(warehouse.connection, [*made, Chat("after", ends, "OPENED", messages=(Message(ends, incoming=True),))])
    build_core(warehouse.connection, warehouse.zone)
    warehouse.connection.execute("delete from analytics.chat_metrics; delete from analytics.message_turns")

    build_core(warehouse.connection, warehouse.zone, Days(date(2025, 3, 9), date(2025, 3, 9)))

    assert measured(warehouse.connection).keys() == turns(warehouse.connection).keys() == {"first", "last"}


def test_a_new_target_leaves_verdicts_of_the_past_and_restating_changes_them(database_url: str) -> None:
    clock, created = AccountClock(NEW_YORK), new_york(2025, 3, 10, 9).astimezone(UTC)
    stricter = "sla: [{policy: default, targets: {pickup: 60, first_response: 300, resolution: 7200}}]"
    picked = created + timedelta(seconds=90)
    old = Chat("old", created, "PICKED_UP", created, picked, messages=(Message(created, incoming=True),))
    new = replace(
        old, key="new", **{name: getattr(old, name) + timedelta(days=7) for name in ("created", "opened", "picked_up")}
    )

    def verdicts() -> dict[str, tuple[int, bool]]:
        build_core(connection, NEW_YORK.key)
        return {key: (row["sla_pickup_version"], row["sla_pickup_met"]) for key, row in measured(connection).items()}

    with connect(database_url, purpose="test") as connection:
        ensure_users(connection, (), now=created)
        store(connection, [old, new])
        before = verdicts()
        account = Account(clock, SYSTEM_USER, created + timedelta(days=1))
        apply(connection, parse(stricter.encode()), account)
        after = verdicts()
        apply(connection, parse(stricter.encode()), account, restate=True)
        restated = verdicts()

    assert before == {"old": (1, True), "new": (1, True)}
    assert after == {"old": (1, True), "new": (2, False)}
    assert restated == {"old": (3, False), "new": (3, False)}


@pytest.fixture(scope="module")
def account(postgres_server: PostgresServer) -> Iterator[Warehouse]:
    """Some days of an invented account, loaded as any account is."""
    world = World(first_day=date(2025, 3, 3), zone=ZoneInfo("America/Bogota"), chats_per_day=30)
    with postgres_server.database(migrated=True) as url:
        with running_pipeline(url, world, now=datetime(2025, 3, 7, 18, tzinfo=UTC)) as pipeline:
            assert all_loaded(pipeline.load_days(date(2025, 3, 3), date(2025, 3, 6)))
        with connect(url, purpose="test") as connection:
            yield Warehouse(connection, world.zone.key)


@pytest.mark.any_postgres
def test_a_loaded_account_is_measured_as_the_reference_measures_it(account: Warehouse) -> None:
    build_core(account.connection, account.zone)

    account.check(stored_chats(account.connection), Rules(ZoneInfo(account.zone), policies=[DEFAULT]))


@pytest.mark.any_postgres
def test_days_built_one_by_one_are_what_building_all_makes(account: Warehouse) -> None:
    build_core(account.connection, account.zone)
    whole = measured(account.connection), turns(account.connection)
    account.connection.execute("delete from analytics.chat_metrics; delete from analytics.message_turns")

    for day in (date(2025, 3, 5), date(2025, 3, 3), date(2025, 3, 6), date(2025, 3, 4), date(2025, 3, 5)):
        build_core(account.connection, account.zone, Days(day, day))

    assert (measured(account.connection), turns(account.connection)) == whole


@pytest.mark.any_postgres
def test_a_chat_that_was_deleted_leaves_both_models_with_its_day(account: Warehouse) -> None:
    build_core(account.connection, account.zone)
    day = Days(date(2025, 3, 4), date(2025, 3, 4))
    with account.connection.transaction(force_rollback=True):
        gone = next(key for key, row in measured(account.connection).items() if row["created_day"] == day.first)
        account.connection.execute("update chats set is_deleted = true where id = %s", (gone,))

        build_core(account.connection, account.zone, day)

        assert gone not in measured(account.connection)
        assert gone not in turns(account.connection)
