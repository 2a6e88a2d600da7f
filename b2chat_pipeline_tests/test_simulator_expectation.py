"""The expectation agrees with what the API tells, read here the plainest way, on ordinary and on odd days."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.simulator import FLAT_WEEK, World
from b2chat_pipeline.simulator.expectation import Expectation, ExpectedChat, ExpectedMessage, expected
from b2chat_pipeline_tests.simulator_support import NOW, SMALL, all_chats, running

NEW_YORK = ZoneInfo("America/New_York")
AUTUMN = World(first_day=date(2025, 11, 1), zone=NEW_YORK, chats_per_day=300, weekly_shape=FLAT_WEEK)
AFTER_THE_CHANGE = datetime(2025, 11, 4, 17, 0, tzinfo=UTC)


def utc(text: str | None, zone: ZoneInfo) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) if text else None


def told(world: World, now: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with running(world, now=now) as (_, client):
        contacts = client.get(
            "/contacts/export", params={"skip_tags": "false", "skip_custom_attributes": "false"}
        ).json()
        return all_chats(client, page=1000), contacts["contacts"]


@pytest.fixture(scope="module", params=[(SMALL, NOW), (AUTUMN, AFTER_THE_CHANGE)], ids=["ordinary", "clock change"])
def case(request: pytest.FixtureRequest) -> tuple[World, list[dict[str, Any]], list[dict[str, Any]], Expectation]:
    world, now = request.param
    return (world, *told(world, now), expected(world, now))


Case = tuple[World, list[dict[str, Any]], list[dict[str, Any]], Expectation]


def test_every_chat_that_is_told_is_expected_and_no_other(case: Case) -> None:
    _, chats, _, expectation = case

    assert expectation.chats.keys() == expectation.messages.keys() == {chat["chat_id"] for chat in chats}


def test_clocks_are_the_told_ones_in_utc(case: Case) -> None:
    world, chats, _, expectation = case

    for chat in chats:
        row = expectation.chats[chat["chat_id"]]
        clocks = [row.created_at, row.opened_at, row.picked_up_at, row.response_at, row.closed_at]
        names = ("created_at", "opened_at", "picked_up_at", "responded_at", "closed_at")
        assert clocks == [utc(chat[name], world.zone) for name in names]


def test_people_and_places_are_the_told_ones(case: Case) -> None:
    _, chats, _, expectation = case

    for chat in chats:
        row = expectation.chats[chat["chat_id"]]
        assert row.agent == (chat["agent"] and chat["agent"]["username"])
        assert row.contact == (chat["contact"] and str(chat["contact"]["id"]))
        assert row.department == (chat["department"] and chat["department"].strip())
        assert (row.alias, row.is_agent_available) == (chat["alias"], chat["is_agent_available"])
        assert list(row.tags) == [it["name"] if isinstance(it, dict) else it for it in chat["tags"] or []]


def test_the_duration_is_the_told_one_but_where_the_clocks_change(case: Case) -> None:
    _, chats, _, expectation = case

    differences = Counter(
        abs((expectation.chats[chat["chat_id"]].duration or 0) - _seconds(chat["duration"]))
        for chat in chats
        if chat["duration"]
    )
    assert differences[0] > 0.9 * differences.total() > 0
    assert differences.keys() <= {0, 3600}


def _seconds(text: str) -> int:
    days, hours, minutes, seconds = map(int, text.split(":"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def test_messages_are_the_told_ones(case: Case) -> None:
    world, chats, _, expectation = case

    for chat in chats:
        rows = [(it.timestamp, it.incoming, _content(it), it.caption) for it in expectation.messages[chat["chat_id"]]]
        assert rows == [
            (utc(it["created_at"], world.zone), it["incoming"], _body(it), it["caption"]) for it in chat["messages"]
        ]


def _content(row: ExpectedMessage) -> str | None:
    return {"text": row.text, "image": row.image_url, "file": row.file_url}[row.type]


def _body(message: dict[str, Any]) -> str:
    body: str = message["body"]
    return body if message["type"] == "TEXT" else body.split("?", maxsplit=1)[0]


def test_each_kind_of_body_is_in_its_own_column(case: Case) -> None:
    _, chats, _, expectation = case
    rows = [row for chat in chats for row in expectation.messages[chat["chat_id"]]]
    raw = [message["type"] for chat in chats for message in chat["messages"]]

    images = {"IMAGE", "STICKER"}
    assert [row.type for row in rows] == ["text" if it == "TEXT" else "image" if it in images else "file" for it in raw]
    assert "STICKER" in raw
    assert {row.type for row in rows} == {"text", "image", "file"}
    assert all(sum(it is not None for it in (row.text, row.image_url, row.file_url)) == 1 for row in rows)


def test_vocabularies_are_the_dictionarys(case: Case) -> None:
    _, chats, _, expectation = case
    pairs = {(chat["status"], expectation.chats[chat["chat_id"]].status) for chat in chats}
    families = {(chat["provider"], expectation.chats[chat["chat_id"]].provider) for chat in chats}

    pending, still_open = {"BOT_CHATTING", "OPENED"}, {"PICKED_UP", "RESPONDED_BY_AGENT"}
    assert {mapped for _, mapped in pairs} == {"pending", "open", "closed"}
    for raw, mapped in pairs:
        assert mapped == ("pending" if raw in pending else "open" if raw in still_open else "closed")
    assert ("WHATSAPP360", "whatsapp") in families
    assert ("FACEBOOK", "facebook") in families


def test_unread_messages_are_the_customers_after_the_last_answer(case: Case) -> None:
    _, chats, _, expectation = case
    unread = {chat["chat_id"]: "".join("io"[not it["incoming"]] for it in chat["messages"]) for chat in chats}

    assert any(expectation.chats[key].unread_count for key in unread)
    for key, directions in unread.items():
        assert expectation.chats[key].unread_count == len(directions) - len(directions.rstrip("i"))


def test_the_latest_clock_is_the_last_modification(case: Case) -> None:
    _, _, _, expectation = case

    for key, row in expectation.chats.items():
        sent = [it.timestamp for it in expectation.messages[key]]
        assert row.last_modified_at == max([*_own_clocks(row), *sent])


def _own_clocks(row: ExpectedChat) -> list[datetime]:
    clocks = (row.created_at, row.opened_at, row.picked_up_at, row.response_at, row.closed_at)
    return [it for it in clocks if it]


def test_contacts_are_the_told_ones_with_nothing_for_an_empty_string(case: Case) -> None:
    _, _, contacts, expectation = case

    assert len(contacts) == min(1000, len(expectation.contacts))
    for contact in contacts:
        row = expectation.contacts[str(contact["contact_id"])]
        assert row.full_name == contact["fullname"]
        assert (row.mobile or "").lstrip("+") == contact["mobile"].lstrip("+")
        assert row.phone_number == (contact["landline"] or None)
        assert row.email == (contact["email"] or None)
        assert row.custom_attributes == tuple((it["name"], it["value"]) for it in contact["custom_attributes"])


def test_agents_and_departments_are_those_that_chats_name(case: Case) -> None:
    _, chats, _, expectation = case

    assert expectation.agents.keys() == {chat["agent"]["username"] for chat in chats if chat["agent"]}
    assert expectation.departments == {chat["department"].strip() for chat in chats if chat["department"]}
    for username, agent in expectation.agents.items():
        newest = [chat for chat in chats if chat["agent"] and chat["agent"]["username"] == username][-1]
        assert (agent.name, agent.email) == (newest["agent"]["name"], newest["agent"]["email"])
        named = [chat["department"] for chat in chats if chat["agent"] == newest["agent"] and chat["department"]]
        assert agent.department == (named[-1].strip() if named else None)


def test_days_can_be_chosen() -> None:
    day = expected(SMALL, NOW, first=date(2025, 3, 4), last=date(2025, 3, 4))

    assert len(day.chats) == SMALL.chats_on(date(2025, 3, 4))
