"""The chats worked out by hand in docs/metrics.md are measured as the page says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.operations.applying import Account, apply
from b2chat_pipeline.operations.configuration import parse
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.dagster_support import PROJECT
from b2chat_pipeline_tests.metric_reference import Change, Chat, Message, Row
from b2chat_pipeline_tests.metric_support import build_core, measured, store, turns
from b2chat_pipeline_tests.postgres import PostgresServer

PAGE = (PROJECT / "docs" / "metrics.md").read_text()
SECTION = re.compile(r"^### In (\S+), where.*?\n\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| (.+?) \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
MESSAGE = re.compile(r'([cab])([+-]\d+[mhd]?)(?: "(.*)")?')
CHANGE = re.compile(r"(status|agent|department) (\S+)>(\S+) (\S+)\.\.(\S+)")
UNITS = {"": 1, "m": 60, "h": 3600, "d": 86_400}
CLOCKS = {"opened": "opened", "picked": "picked_up", "response": "response", "closed": "closed"}

CASES = [
    (zone, f"{name}", chat, says) for zone, table in SECTION.findall(PAGE) for name, chat, says in ROW.findall(table)
]


def after(text: str) -> timedelta:
    amount, unit = re.fullmatch(r"([+-]\d+)([mhd]?)", text).groups()  # type: ignore[union-attr]
    return timedelta(seconds=int(amount) * UNITS[unit])


def chat_of(key: str, text: str, zone: ZoneInfo) -> Chat:
    """A chat as the page writes it."""
    began, *parts = text.split(", ")
    created = datetime.fromisoformat(began[:19]).replace(tzinfo=zone).astimezone(UTC)
    facts: Row = {"opened": created}
    messages, history = [], []
    for part in parts:
        what, _, value = part.partition(" ")
        if message := MESSAGE.fullmatch(part):
            at = created + after(message[2])
            messages.append(Message(at, message[1] == "c", message[3], broadcasted=message[1] == "b"))
        elif change := CHANGE.fullmatch(part):
            old, new = (None if word == "none" else word for word in change.group(2, 3))
            history.append(Change(what, old, new, created + after(change[4]), created + after(change[5])))
        elif part == "no agent":
            facts["available"] = False
        elif what == "flag":
            facts["time_flags"] = (value,)
        elif what in CLOCKS:
            facts[CLOCKS[what]] = created + after(value)
        elif what == "department":
            facts |= {"department": value, "department_id": value}
        else:
            facts |= {what: value}
    return Chat(key, created, began[20:], messages=tuple(messages), history=tuple(history), **facts)


def written(value: object, created: datetime, told: str) -> str:
    """A value in the words of the page."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, datetime):
        return told if value == created + after(told) else value.isoformat()
    if isinstance(value, list):
        return " ".join(value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


ZONES = sorted({zone for zone, *_ in CASES})


@contextmanager
def stored_section(server: PostgresServer, zone: ZoneInfo) -> Iterator[Connection]:
    """The chats of one section and the rules they are under, in a database of its own."""
    cases = [(name, chat) for of_zone, name, chat, _ in CASES if of_zone == zone.key]
    now = datetime(2025, 3, 1, 12, tzinfo=UTC)
    with server.database(migrated=True) as url, connect(url, purpose="test") as connection:
        ensure_users(connection, (), now=now)
        example = parse((PROJECT / "config.example.yaml").read_bytes())
        apply(connection, example, Account(AccountClock(zone), SYSTEM_USER, now))
        store(connection, [chat_of(name, chat, zone) for name, chat in cases])
        yield connection


def contradictions(zone: str, metrics: Mapping[str, Row], of_turns: Mapping[str, Sequence[Row]]) -> list[str]:
    """Where the measured chats of a section are not what the page says of them."""
    wrong = []
    for _, name, _, says in (case for case in CASES if case[0] == zone):
        for claim in says.split(", "):
            column, _, told = claim.partition(" ")
            number = re.fullmatch(r"turn(\d+)\.(\w+)", column)
            row, field = (of_turns[name][int(number[1]) - 1], number[2]) if number else (metrics[name], column)
            found = written(row[field], metrics[name]["created_at"], told)
            if found != told:
                wrong.append(f"{name}: {column} is {found}, the page says {told}")
    return wrong


@pytest.mark.parametrize("zone", ZONES)
def test_every_chat_worked_out_by_hand_is_measured_as_the_page_says(zone: str, postgres_server: PostgresServer) -> None:
    with stored_section(postgres_server, ZoneInfo(zone)) as connection:
        build_core(connection, zone)

        assert contradictions(zone, measured(connection), turns(connection)) == []


def test_the_page_holds_the_chats_that_the_test_reads() -> None:
    assert len(CASES) >= 30
    assert len({name for _, name, *_ in CASES}) == len(CASES)
    assert all(date.fromisoformat(chat[:10]) for _, _, chat, _ in CASES)
