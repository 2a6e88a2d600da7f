"""What tells the messages of a chat apart, though the API gives them no id."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline_tests.mapping_support import NEW_YORK, fitting, mapped, message, messages


def test_two_identical_messages_of_one_second_stay_two() -> None:
    twice = messages(message(), message())

    assert len({told.id for told in twice}) == 2
    assert [told.id for told in messages(message(), message(), message())][:2] == [told.id for told in twice]


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "Adios"},
        {"incoming": False},
        {"caption": "c"},
        {"type": "NOTE"},
        {"created_at": "2025-03-03 09:12:10"},
        {"body": "Hola?a=1"},
    ],
)
def test_messages_that_differ_are_different(changes: dict[str, object]) -> None:
    assert messages(message())[0].id != messages(message(**changes))[0].id


def test_a_media_message_is_the_same_whatever_signature_its_url_carries() -> None:
    first, second = (
        message(type="FILE", body=f"https://files.example.test/plan.pdf?X-Signature={signature}")
        for signature in ("aaa", "bbb")
    )

    assert messages(first)[0].id == messages(second)[0].id
    assert fitting(messages=[first]).messages_hash == fitting(messages=[second]).messages_hash


@pytest.mark.parametrize("body", ["http://[broken?x", "?", "https://h/a?b?c", "not a url"])
def test_a_media_body_that_is_no_url_is_kept_as_it_is(body: str) -> None:
    assert messages(message(type="VIDEO", body=body))[0].file_url == body


TOLD: list[dict[str, Any]] = [
    message(),
    message(),
    message(incoming=False, created_at="2025-03-03 09:12:50"),
    message(type="IMAGE", body="https://files.example.test/i.png?s=1"),
    message(type="LOCATION", body=None, location={"lat": 4.6, "lng": -74.1}),
    message(broadcasted=True, body="Promo"),
]


@given(st.permutations(TOLD))
def test_the_order_in_which_messages_are_told_does_not_matter_to_their_hash(told: list[dict[str, Any]]) -> None:
    assert fitting(messages=told).messages_hash == fitting(messages=TOLD).messages_hash


@pytest.mark.parametrize("place", range(len(TOLD)))
def test_a_message_more_or_less_matters_to_the_hash(place: int) -> None:
    fewer = TOLD[:place] + TOLD[place + 1 :]

    assert fitting(messages=fewer).messages_hash != fitting(messages=TOLD).messages_hash
    assert fitting(messages=[]).messages_hash is fitting(messages=None).messages_hash is None


def test_messages_of_a_time_that_does_not_exist_do_not_clash_with_those_it_is_shifted_to() -> None:
    gone, there = message(created_at="2025-03-09 02:30:00"), message(created_at="2025-03-09 03:30:00")

    told = messages(gone, there, clock=NEW_YORK)

    assert [(datetime.fromisoformat(it.timestamp), it.time_flag) for it in told] == [
        (datetime(2025, 3, 9, 7, 30, tzinfo=UTC), "nonexistent"),
        (datetime(2025, 3, 9, 7, 30, tzinfo=UTC), None),
    ]
    assert told[0].id != told[1].id


def test_a_message_whose_time_cannot_be_read_is_put_aside_and_the_others_load() -> None:
    chat, (misfit,) = mapped(messages=[message(), message(created_at="0000-00-00"), message(body="Gracias")])

    assert chat is not None
    assert list(chat.places) == [0, 2]
    assert (misfit.entity, misfit.key, misfit.path) == ("messages", "c1", "$.messages[1].created_at")
