"""What a chat, its messages and its people become in the dictionary's columns."""

from datetime import UTC, datetime

import msgspec
import pytest

from b2chat_pipeline.b2chat.contract import Contact
from b2chat_pipeline.ingest.people import check_contact, department_code, e164, full_row
from b2chat_pipeline.ingest.values import UnstorableError
from b2chat_pipeline.ingest.vocabulary import chat_provider, chat_status, message_type
from b2chat_pipeline_tests.mapping_support import NEW_YORK, NOON, mapped, message, messages, row

LONG = "x" * 501


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        *(("BOT_CHATTING", "pending"), ("OPENED", "pending"), ("PICKED_UP", "open"), ("RESPONDED_BY_AGENT", "open")),
        *(("CLOSED", "closed"), ("COMPLETING_POLL", "closed"), ("COMPLETED_POLL", "closed")),
        *(("ABANDONED_POLL", "closed"), ("CLOSED_BY_CONTACT", "closed"), ("LEFT_BY_CONTACT", "closed")),
        *(("ESCALATED", "unknown"), ("", "unknown"), (None, "unknown"), (" closed ", "closed")),
    ],
)
def test_a_status_is_mapped_and_an_unknown_one_never_taken_for_open(raw: str | None, status: str) -> None:
    assert chat_status(raw) == status
    assert (row(status=raw).status, row(status=raw).raw_status) == (status, raw)


@pytest.mark.parametrize(
    ("raw", "provider"),
    [
        *(("WHATSAPPB2CHAT", "whatsapp"), ("WHATSAPP360", "whatsapp"), ("WHATSAPPNEW", "whatsapp")),
        *(("FACEBOOK", "facebook"), ("INSTAGRAM", "instagram"), ("LIVECHAT", "livechat"), ("TELEGRAM", "telegram")),
        *(("B2CBOTAPI", "b2cbotapi"), ("unknown", "other"), ("RCS", "other"), (None, "other")),
    ],
)
def test_a_provider_is_mapped_to_its_family(raw: str | None, provider: str) -> None:
    assert chat_provider(raw) == provider
    assert (row(provider=raw).provider, row(provider=raw).raw_provider) == (provider, raw)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("TEXT", "text"), ("IMAGE", "image"), ("STICKER", "image"), ("AUDIO", "file"), ("LOCATION", "file"), ("", "file")],
)
def test_a_message_type_is_mapped_and_its_body_goes_to_its_column(raw: str, kind: str) -> None:
    (told,) = messages(message(type=raw, body="b"))

    assert message_type(raw) == kind == told.type
    assert told.raw_type == raw
    assert {"text": told.text, "image": told.image_url, "file": told.file_url} == {
        "text": None,
        "image": None,
        "file": None,
        kind: "b",
    }


def test_clocks_out_of_order_are_loaded_as_told_and_flagged() -> None:
    told = row(
        opened_at="2025-03-03 09:12:40",
        picked_up_at="2025-03-03 09:12:30",
        responded_at="2025-03-03 09:12:20",
        closed_at="2025-03-03 09:12:10",
    )

    assert told.closed_at == datetime(2025, 3, 3, 14, 12, 10, tzinfo=UTC)
    assert told.time_flags == [
        "opened_at before created_at",
        "picked_up_at before opened_at",
        "response_at before picked_up_at",
        "closed_at before created_at",
    ]
    assert told.duration is None


def test_a_clock_that_cannot_be_read_is_unknown_and_flagged() -> None:
    told = row(closed_at="0000-00-00 00:00:00", opened_at="")

    assert (told.closed_at, told.opened_at, told.duration) == (None, None, None)
    assert told.time_flags == ["closed_at unreadable"]


def test_a_chat_whose_creation_cannot_be_read_is_put_aside() -> None:
    chat, (misfit,) = mapped(created_at="20250-03-03 10:00:00")

    assert chat is None
    assert (misfit.entity, misfit.key, misfit.path) == ("chats", "c1", "$.created_at")


@pytest.mark.parametrize(
    ("closed", "told", "seconds", "flags"),
    [
        ("2025-03-05 16:40:10", "02:07:27:26", 199646, []),
        ("2025-03-05 16:40:10", "02:07:27:25", 199646, []),
        ("2025-03-05 16:40:10", "02:07:27", 199646, ["duration differs from closed_at - opened_at"]),
        ("2025-03-05 16:40:10", "09:07:27:26", 199646, ["duration differs from closed_at - opened_at"]),
        (None, None, None, []),
        ("9999-01-01 00:00:00", None, None, []),
    ],
)
def test_duration_is_computed_from_the_clocks_and_the_told_one_only_checked(
    closed: str | None, told: str | None, seconds: int | None, flags: list[str]
) -> None:
    loaded = row(opened_at="2025-03-03 09:12:44", closed_at=closed, duration=told)

    assert (loaded.duration, loaded.raw_duration, loaded.time_flags) == (seconds, told, flags)


def test_the_first_answer_is_what_the_api_says_never_the_first_outgoing_message() -> None:
    greeting = message(incoming=False, created_at="2025-03-03 09:12:50")

    assert row(messages=[greeting]).response_at is None
    assert row(response_at="2025-03-03 09:21:05").response_at == datetime(2025, 3, 3, 14, 21, 5, tzinfo=UTC)


def test_unread_are_the_customers_messages_after_the_last_outgoing_one() -> None:
    at = "2025-03-03 09:00:0"
    told = [
        message(created_at=f"{at}5", body="third"),
        message(created_at=f"{at}1"),
        message(created_at=f"{at}4", body="second"),
        message(created_at=f"{at}3", incoming=False),
        message(created_at=f"{at}3", body="same second, told later"),
    ]

    assert row(messages=told).unread_count == 3
    assert row(messages=[message(), message()]).unread_count == 2
    assert row(messages=[]).unread_count == row(messages=None).unread_count == 0


def test_last_modified_is_the_latest_clock_of_the_chat_and_its_messages() -> None:
    late = message(created_at="2025-03-09 10:00:00")

    assert row(closed_at="2025-03-05 10:00:00").last_modified_at == datetime(2025, 3, 5, 15, tzinfo=UTC)
    assert row(closed_at="2025-03-05 10:00:00", messages=[late]).last_modified_at == datetime(
        2025, 3, 9, 15, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("changes", "entity", "path", "loads"),
    [
        ({"chat_id": LONG}, "chats", "$.chat_id", False),
        ({"chat_id": " "}, "chats", "$.chat_id", False),
        ({"alias": LONG}, "chats", "$.alias", False),
        ({"tags": ["ok", LONG]}, "chats", "$.tags", False),
        ({"agent": {"username": LONG}}, "agents", "$.agent.username", True),
        ({"agent": {"username": ""}}, "agents", "$.agent.username", True),
        ({"agent": {"username": "a\0"}}, "agents", "$.agent.username", True),
        ({"contact": {"id": LONG}}, "contacts", "$.contact.id", True),
        ({"contact": {"id": 1, "email": LONG}}, "contacts", "$.contact.email", True),
        ({"contact": {"id": 1, "mobile_number": LONG}}, "contacts", "$.contact.mobile_number", True),
        ({"contact": {"id": 1, "phone_number": LONG}}, "contacts", "$.contact.phone_number", True),
    ],
)
def test_text_that_an_index_does_not_take_is_put_aside(
    changes: dict[str, object],
    entity: str,
    path: str,
    loads: bool,  # noqa: FBT001 - a parameter of the table above
) -> None:
    chat, (misfit,) = mapped(**changes)  # type: ignore[arg-type]

    assert (misfit.entity, misfit.path) == (entity, path)
    assert len(misfit.key or "") <= 500
    assert (chat is not None) == loads


@pytest.mark.parametrize("name", ["contact_id", "email", "mobile", "landline"])
def test_a_contact_with_text_that_an_index_does_not_take_is_put_aside(name: str) -> None:
    contact = msgspec.convert({"contact_id": 7} | {name: LONG}, Contact)

    with pytest.raises(UnstorableError) as caught:
        check_contact(contact)

    assert caught.value.path == f"$.{name}"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+573005550000", None, "+573005550000"),
        ("573005550000", None, "+573005550000"),
        ("573005550000", "CO", "+573005550000"),
        ("300 555 0000", "CO", "+573005550000"),
        ("+1 (555) 010-2030", None, "+15550102030"),
        ("15550102030", "Colombia", "+15550102030"),
        ("Ana", "CO", "Ana"),
        ("123", None, "123"),
        ("+573005550000000000000", None, "+573005550000000000000"),
        ("", "CO", None),
        (None, None, None),
    ],
)
def test_a_mobile_number_is_in_e164_where_it_is_one(text: str | None, country: str | None, number: str | None) -> None:
    assert e164(text, country) == number


def test_a_department_has_the_slug_of_its_name_unless_that_is_empty_or_taken() -> None:
    assert department_code("Soporte Técnico", set()) == "soporte-tecnico"
    assert department_code("  Ventas / B2B!", set()) == "ventas-b2b"
    assert department_code("Facturacion", {"facturacion"}).startswith("facturacion-")
    assert department_code("销售", set()).startswith("department-")
    assert department_code("销售", set()) != department_code("支持", set())
    assert len(department_code("x" * 900, {"x" * 60})) == 69


def test_a_contact_keeps_its_flags_and_raw_values() -> None:
    contact = Contact(7, created="2025-11-02 01:30:00", updated="0000-00-00", mobile="1 555 0102030", merchant_id=3)

    told = full_row(contact, NEW_YORK, read_at=NOON, synced_at=NOON)

    assert (told.b2chat_id, told.full_name, told.merchant_id, told.is_full) == ("7", "", "3", True)
    assert (told.mobile, told.raw_mobile) == ("+15550102030", "1 555 0102030")
    assert (told.created_at, told.updated_at) == (datetime(2025, 11, 2, 5, 30, tzinfo=UTC), None)
    assert told.time_flags == ["created_at ambiguous", "updated_at unreadable"]
