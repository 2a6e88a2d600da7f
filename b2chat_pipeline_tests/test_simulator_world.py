"""The invented account is the same every time, follows the shapes seen in real accounts, and unfolds with the clock."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.simulator import FLAT_WEEK, Clock, World
from b2chat_pipeline.simulator.script import ChatScript
from b2chat_pipeline.simulator.world import visible_indexes
from b2chat_pipeline_tests.simulator_support import BOGOTA, FIRST_DAY, NOW, SMALL, all_chats, running, token

BIG = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=150)
NEW_YORK = ZoneInfo("America/New_York")
CLOSED = {"CLOSED", "COMPLETING_POLL", "COMPLETED_POLL", "ABANDONED_POLL", "CLOSED_BY_CONTACT", "LEFT_BY_CONTACT"}
FAR_FUTURE = 2**40


def scripts(world: World, days: int = 10) -> list[ChatScript]:
    every = (world.first_day + timedelta(days=it) for it in range(days))
    return [world.chat(day, index) for day in every for index in range(world.chats_on(day))]


def test_the_same_arguments_give_the_same_chats_and_another_seed_gives_others() -> None:
    again = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=150)
    other = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=150, seed=2)

    assert scripts(again) == scripts(BIG)
    assert {it.chat_id for it in scripts(other)}.isdisjoint(it.chat_id for it in scripts(BIG))


def test_every_chat_has_an_id_of_its_own() -> None:
    chats = scripts(BIG)

    assert len({it.chat_id for it in chats}) == len(chats) > 1000


def test_every_contact_has_an_id_of_its_own_and_is_created_before_its_chats() -> None:
    instant = int(NOW.timestamp())
    contacts = list(BIG.known_contacts(instant))
    known = {it.contact_id: it for it in contacts}

    assert len(known) == len(contacts)
    for chat in scripts(BIG, days=9):
        assert chat.contact is None or chat.contact.created <= chat.created_at
        assert chat.contact is None or known[chat.contact.contact_id] == chat.contact


def test_a_fixed_pool_of_contacts_is_never_left() -> None:
    world = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=150, contacts=5)

    assert len(list(world.known_contacts(int(NOW.timestamp())))) == 5
    assert len({chat.contact.contact_id for chat in scripts(world) if chat.contact}) == 5


def test_weekends_are_quiet_unless_the_week_is_flat() -> None:
    flat = World(first_day=FIRST_DAY, zone=BOGOTA, chats_per_day=150, weekly_shape=FLAT_WEEK)
    sunday = date(2025, 3, 9)

    assert flat.chats_on(sunday) == 150
    assert BIG.chats_on(sunday) == 30
    assert flat.chats_on(FIRST_DAY - timedelta(days=1)) == 0


def test_office_hours_are_busy_with_a_dip_at_lunch() -> None:
    hours = Counter(BIG.local(chat.created_at).hour for chat in scripts(BIG, days=20))

    assert hours[10] > 1.4 * hours[13] > 0
    assert hours[15] > 1.2 * hours[13]
    assert sum(hours[it] for it in range(8, 18)) > 0.75 * sum(hours.values())


def test_lifetimes_reach_from_minutes_to_weeks() -> None:
    closings = [(chat.phase(FAR_FUTURE).closed_at, chat.created_at) for chat in scripts(BIG, days=20)]
    days = [(closed - created) / 86_400 for closed, created in closings if closed]

    assert 0.75 < sum(it > 1 for it in days) / len(days) < 0.9
    assert 0.25 < sum(it > 7 for it in days) / len(days) < 0.45
    assert min(days) < 0.1
    assert 21 < max(days) < 60
    assert len(days) < len(closings)


def test_clocks_are_in_order_but_for_an_answer_or_two() -> None:
    ends = [chat.phase(FAR_FUTURE) for chat in scripts(BIG, days=20)]
    clocks = [[it for it in (end.opened_at, end.picked_up_at, end.responded_at, end.closed_at) if it] for end in ends]

    disordered = sum(it != sorted(it) for it in clocks)
    assert 0 < disordered < len(clocks) / 100
    assert all((end.closed_at is not None) == (end.status in CLOSED) for end in ends)


def test_all_the_odd_things_of_real_accounts_happen() -> None:
    chats = scripts(BIG, days=30)
    messages = [message for chat in chats for message in chat.messages]
    statuses = {phase.status for chat in chats for phase in chat.phases}

    assert statuses == {*CLOSED, "BOT_CHATTING", "OPENED", "PICKED_UP", "RESPONDED_BY_AGENT"}
    assert {it.type for it in messages} == {"TEXT", "FILE", "AUDIO", "IMAGE", "STICKER", "VIDEO"}
    assert any(it.broadcasted for it in messages)
    assert any(it.caption for it in messages)
    assert any("\u0600" <= char <= "\u06ff" for it in messages for char in it.body)
    assert any(char > "\U0001f000" for it in messages for char in it.body)
    assert any(count > 1 for chat in chats for count in Counter(chat.messages).values())
    assert any(_both_directions_in_a_second(chat) for chat in chats)
    assert any(chat.messages[0].at < chat.created_at - 86_400 for chat in chats if chat.messages)
    assert any(it.department != it.department.strip() for it in chats if it.department)
    assert any(it.department is None for it in chats)
    assert any(it.contact is None for it in chats)
    assert {it.tags_as_objects for it in chats if it.phase(FAR_FUTURE).tags} == {True, False}


def _both_directions_in_a_second(chat: ChatScript) -> bool:
    sides = {(it.at, it.incoming) for it in chat.messages}
    return any((at, not incoming) in sides for at, incoming in sides)


def test_some_chats_are_reopened_and_some_change_hands() -> None:
    chats = scripts(BIG, days=20)
    closings = [[phase.closed_at for phase in chat.phases] for chat in chats]
    agents = [{phase.agent.username for phase in chat.phases if phase.agent} for chat in chats]

    assert any(now is None and before for chat in closings for before, now in pairwise(chat))
    assert any(len(it) > 1 for it in agents)


def test_a_rating_is_a_bare_digit_after_closing() -> None:
    rated = [chat for chat in scripts(BIG, days=20) if chat.phase(FAR_FUTURE).status == "COMPLETED_POLL"]

    assert rated
    for chat in rated:
        closed = chat.phase(FAR_FUTURE).closed_at or 0
        later = [it.body for it in chat.messages if it.incoming and it.at > closed]
        assert any(it in {"1", "2", "3", "4", "5"} for it in later)


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 9), 23), (date(2025, 11, 2), 25), (date(2025, 6, 2), 24)])
def test_a_day_is_filled_whatever_its_length(day: date, hours: int) -> None:
    world = World(first_day=date(2025, 1, 1), zone=NEW_YORK, chats_per_day=2000, weekly_shape=FLAT_WEEK)

    created = world.created_on(day)

    assert (world.midnight(day + timedelta(days=1)) - world.midnight(day)) == hours * 3600
    assert {world.local(it).date() for it in created} == {day}
    assert list(map(world.local, created)) == sorted(map(world.local, created))


def test_in_a_repeated_hour_only_what_has_happened_is_visible() -> None:
    world = World(first_day=date(2025, 1, 1), zone=NEW_YORK, chats_per_day=20_000, weekly_shape=FLAT_WEEK)
    day = date(2025, 11, 2)
    between = int(datetime(2025, 11, 2, 1, 10, tzinfo=NEW_YORK, fold=1).timestamp())

    created = world.created_on(day)
    visible = [created[index] for index in visible_indexes(world, day, between)]

    assert sorted(visible) == sorted(it for it in created if it <= between)
    assert 0 < len(visible) < len(created)


def test_a_chat_shows_only_what_had_happened_by_then() -> None:
    with running() as (simulator, client):
        earlier = {chat["chat_id"]: chat for chat in all_chats(client)}
        simulator.clock.advance(timedelta(days=3))
        client.headers["Authorization"] = f"Bearer {token(client)['access_token']}"
        later = {chat["chat_id"]: chat for chat in all_chats(client)}

    shown = "2025-03-12 13:00:00"
    assert earlier.keys() < later.keys()
    assert all(stamp <= shown for chat in earlier.values() for stamp in _stamps(chat))
    assert any(before != later[key] for key, before in earlier.items())
    for key, before in earlier.items():
        sent = [it["created_at"] for it in later[key]["messages"]]
        assert len(before["messages"]) == sum(it <= shown for it in sent)


def _stamps(chat: dict[str, Any]) -> list[str]:
    own = [chat[name] for name in ("created_at", "opened_at", "picked_up_at", "responded_at", "closed_at")]
    return [it for it in (*own, *(message["created_at"] for message in chat["messages"])) if it]


def test_contacts_are_touched_as_time_passes() -> None:
    instant = int(NOW.timestamp())
    touched = [it for it in SMALL.known_contacts(instant) if it.updated(instant) != it.updated(instant + 10 * 86_400)]

    assert len(touched) > 20
    assert all(it.created <= it.updated(instant) <= instant for it in touched)


def test_some_mobile_numbers_gain_their_plus_sign_later() -> None:
    contacts = list(BIG.known_contacts(int(NOW.timestamp())))

    gained = [it for it in contacts if it.first.mobile and "+" + it.first.mobile == it.later.mobile]
    assert 0 < len(gained) < len(contacts) / 2


def test_five_years_can_be_counted_without_inventing_every_chat() -> None:
    world = World(first_day=date(2020, 3, 1), zone=BOGOTA)

    with running(world) as (_, client):
        answer = client.get("/chats/export", params={"limit": "1", "offset": "300000"}).json()

    days = (NOW.date() - world.first_day).days
    assert answer["exported"] == 1
    assert answer["total"] == pytest.approx(sum(world.weekly_shape) / 7 * 200 * days, rel=0.01)


def test_a_clock_stands_still_runs_and_jumps() -> None:
    ticks = iter([0.0, 10.0, 10.0, 12.0])
    running_clock = Clock(NOW, speed=60, monotonic=lambda: next(ticks))
    still = Clock(NOW)

    assert running_clock.now() == NOW + timedelta(minutes=10)
    running_clock.set(NOW)
    assert running_clock.now() == NOW + timedelta(minutes=2)
    still.advance(timedelta(hours=-1))
    assert still.now() == NOW - timedelta(hours=1)


def test_a_clock_refuses_a_naive_time() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(datetime(2025, 3, 12, 18, 0, tzinfo=UTC).replace(tzinfo=None))
