"""Which forms of the API's answers decode, and how what does not fit is put aside."""

import json

import pytest

from b2chat_pipeline.b2chat.contract import (
    CHATS,
    CONTACTS,
    Chat,
    Contact,
    Decoded,
    Named,
    NotAPageError,
)
from b2chat_pipeline.b2chat.decoding import decode_chat, decode_contact, decode_head, decode_page
from b2chat_pipeline_tests.contract_samples import CHAT, CONTACT, MESSAGE

BACKSLASH = chr(92)


def chat(**changes: object) -> Decoded:
    return decode_chat(json.dumps(CHAT | changes).encode())


def fitting_chat(**changes: object) -> Chat:
    decoded = chat(**changes)
    assert decoded.misfits == ()
    assert isinstance(decoded.record, Chat)
    return decoded.record


def fitting_contact(**changes: object) -> Contact:
    decoded = decode_contact(json.dumps(CONTACT | changes).encode())
    assert decoded.misfits == ()
    assert isinstance(decoded.record, Contact)
    return decoded.record


def written(text: str) -> bytes:
    """A chat whose one message has this JSON text as its body, byte for byte."""
    record = json.dumps(CHAT | {"messages": [MESSAGE | {"body": "@@"}]})
    return record.encode().replace(b"@@", text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name", ["tags", "messages", "agent", "contact", "department", "closed_at", "duration"])
def test_what_is_null_is_absent(name: str) -> None:
    absent = decode_chat(json.dumps({key: value for key, value in CHAT.items() if key != name}).encode())

    assert fitting_chat(**{name: None}) == absent.record


def test_tags_come_as_strings_as_objects_or_mixed() -> None:
    tags = ["VIP", {"name": "Moroso"}, {"name": "Nuevo", "assigned_at": "2025-03-03", "color": 3}]

    assert fitting_chat(tags=tags).tags == ["VIP", Named("Moroso"), Named("Nuevo")]


def test_a_department_comes_as_a_string_or_an_object() -> None:
    assert fitting_chat(department="Ventas ").department == "Ventas "
    assert fitting_chat(department={"id": 7, "code": "V", "name": "Ventas"}).department == Named("Ventas")


def test_the_first_answer_has_two_names() -> None:
    assert fitting_chat(responded_at="a").responded_at == "a"
    assert fitting_chat(responded_at=None, response_at="b").response_at == "b"


@pytest.mark.parametrize("number", [70000001, "70000001", 10**24])
def test_contact_ids_come_as_numbers_or_text(number: int | str) -> None:
    stub = fitting_chat(contact={"id": number}).contact

    assert stub is not None
    assert stub.id == number
    assert fitting_contact(contact_id=number).contact_id == number


@pytest.mark.parametrize("value", [None, [], {}, {"Segmento": "Premium"}, [{"name": "Asesor", "value": None}], "x"])
def test_custom_attributes_come_in_any_form(value: object) -> None:
    assert fitting_contact(custom_attributes=value, tags=value).custom_attributes == value


def test_unknown_fields_are_no_trouble_at_any_level() -> None:
    unknown = {"poll": {"stars": [1, 2]}, "topic": None}

    changed = fitting_chat(
        **unknown,
        agent=CHAT["agent"] | unknown,
        contact=CHAT["contact"] | unknown,
        messages=[MESSAGE | unknown, MESSAGE | {"body": "Gracias"}],
    )

    assert changed == fitting_chat()
    assert fitting_contact(**unknown) == fitting_contact()


@pytest.mark.parametrize(
    ("changes", "reason", "path"),
    [
        ({"chat_id": 7}, "Expected `str`, got `int`", "$.chat_id"),
        ({"created_at": None}, "Expected `str`, got `null`", "$.created_at"),
        ({"status": 7, "agent": [], "messages": [7]}, "Expected `str | null`, got `int`", "$.status"),
        ({"tags": {}}, "Expected `array | null`, got `object`", "$.tags"),
    ],
)
def test_a_chat_that_does_not_fit_is_put_aside_with_reason_and_path(
    changes: dict[str, object], reason: str, path: str
) -> None:
    decoded = chat(**changes)

    assert decoded.record is None
    (misfit,) = decoded.misfits
    assert (misfit.entity, misfit.reason, misfit.path) == ("chats", reason, path)
    assert json.loads(misfit.raw) == CHAT | changes


@pytest.mark.parametrize(
    ("changes", "entity", "reason", "path"),
    [
        ({"agent": ["Ana"]}, "agents", "Expected `object | null`, got `array`", "$.agent"),
        ({"agent": {"name": "Ana"}}, "agents", "Object missing required field `username`", "$.agent"),
        ({"contact": {"name": "Ana"}}, "contacts", "Object missing required field `id`", "$.contact"),
        ({"contact": {"id": 7, "name": 8}}, "contacts", "Expected `str | null`, got `int`", "$.contact.name"),
        ({"department": 7}, "departments", "Expected `str | object | null`, got `int`", "$.department"),
        ({"department": {"name": 7}}, "departments", "Expected `str`, got `int`", "$.department.name"),
        ({"messages": {"body": "a"}}, "messages", "Expected `array | null`, got `object`", "$.messages"),
    ],
)
def test_a_part_of_a_chat_that_does_not_fit_is_put_aside_alone(
    changes: dict[str, object], entity: str, reason: str, path: str
) -> None:
    (name,) = changes
    decoded = chat(**changes)

    assert decoded.record == fitting_chat(**{name: None})
    (misfit,) = decoded.misfits
    assert (misfit.entity, misfit.key, misfit.reason, misfit.path) == (entity, "c1", reason, path)
    assert json.loads(misfit.raw) == changes[name]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        *(({"agent": {}}, "$.agent"), ({"contact": {}}, "$.contact"), ({"department": {}}, "$.department")),
        *(({"contact": ""}, "$.contact"), ({"contact": {"id": None}}, "$.contact.id")),
        ({"department": {"name": None}}, "$.department.name"),
    ],
)
def test_an_object_that_names_nobody_is_passed_over(changes: dict[str, object], path: str) -> None:
    (name,) = changes
    decoded = chat(**changes)

    assert decoded.record == fitting_chat(**{name: None})
    assert decoded.misfits == ()
    assert [misfit.path for misfit in decoded.ignored] == [path]


def test_tags_that_are_none_are_passed_over() -> None:
    decoded = chat(tags=["VIP", None, {"name": "Moroso"}, 7, {}])

    assert decoded.record == fitting_chat(tags=["VIP", {"name": "Moroso"}])
    assert decoded.misfits == ()
    assert [misfit.path for misfit in decoded.ignored] == ["$.tags[1]", "$.tags[3]", "$.tags[4]"]


def test_a_message_that_does_not_fit_is_put_aside_alone() -> None:
    odd = [MESSAGE, {"body": "no time"}, MESSAGE | {"incoming": "yes"}, "text", MESSAGE | {"body": "last"}]

    decoded = chat(messages=odd)

    assert isinstance(decoded.record, Chat)
    assert [message.body for message in decoded.record.messages or ()] == ["Hola", "last"]
    assert [(misfit.entity, misfit.key, misfit.path, misfit.reason) for misfit in decoded.misfits] == [
        ("messages", "c1", "$.messages[1]", "Object missing required field `created_at`"),
        ("messages", "c1", "$.messages[2].incoming", "Expected `bool`, got `str`"),
        ("messages", "c1", "$.messages[3]", "Expected `object`, got `str`"),
    ]
    assert [json.loads(misfit.raw) for misfit in decoded.misfits] == odd[1:4]


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (f"a{BACKSLASH}u0000b", "a�b"),
        (f"a{BACKSLASH}ud800b", "a�b"),
        (f"a{BACKSLASH}udc00b", "a�b"),
        (f"{BACKSLASH}ud83d{BACKSLASH}ude00", "😀"),
        (f"{BACKSLASH}{BACKSLASH}u0000", f"{BACKSLASH}u0000"),
        ("a\udcffb", "a�b"),
        ("مرحبا 😀", "مرحبا 😀"),
    ],
)
def test_characters_that_no_text_column_takes_are_replaced_and_others_kept(text: str, body: str) -> None:
    decoded = decode_chat(written(text))

    assert decoded.misfits == ()
    assert isinstance(decoded.record, Chat)
    assert decoded.record.messages is not None
    assert decoded.record.messages[0].body == body


@pytest.mark.parametrize("escape", ["u0000", "ud800"])
def test_a_key_with_such_characters_is_put_aside(escape: str) -> None:
    key = f"c{BACKSLASH}{escape}"

    misfits = [
        *decode_chat(json.dumps(CHAT | {"chat_id": "@"}).replace("@", key).encode()).misfits,
        *decode_contact(json.dumps(CONTACT | {"contact_id": "@"}).replace("@", key).encode()).misfits,
    ]

    assert [(misfit.entity, misfit.key, misfit.path) for misfit in misfits] == [
        ("chats", None, "$.chat_id"),
        ("contacts", None, "$.contact_id"),
    ]


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "[" * 5_000 + "]" * 5_000, "9" * 5_000])
def test_a_value_that_cannot_be_read_puts_its_record_aside(value: str) -> None:
    decoded = decode_chat(json.dumps(CHAT | {"alias": "@"}).replace('"@"', value).encode())

    assert decoded.record is None
    assert [(misfit.entity, misfit.path) for misfit in decoded.misfits] == [("chats", "$")]


def test_a_number_beyond_any_float_stays_text() -> None:
    raw = json.dumps(CONTACT | {"tags": ["@", 1.5]}).replace('"@"', "1e999").encode()

    decoded = decode_contact(raw)

    assert isinstance(decoded.record, Contact)
    assert decoded.record.tags == ["1e999", 1.5]


def test_the_head_of_a_record_is_read_even_where_the_record_does_not_fit() -> None:
    assert decode_head(json.dumps(CHAT | {"agent": 7}).encode(), CHATS) == ("c1", "2025-03-03 09:12:44")
    assert decode_head(json.dumps(CONTACT).encode(), CONTACTS) == ("70000001", "2025-03-05 16:24:14")
    assert decode_head(b"7", CHATS) == (None, None)


def test_the_head_of_a_record_is_read_whatever_text_the_record_holds() -> None:
    surrogate = json.dumps(CHAT | {"alias": "\ud800"}).encode()

    assert decode_head(surrogate, CHATS) == ("c1", "2025-03-03 09:12:44")
    assert decode_head(b"[" * 5_000, CHATS) == (None, None)


@pytest.mark.parametrize(
    ("total", "read"),
    [(187, 187), (0, 0), (-1, None), ("187", None), (2**31, None), (None, None), (True, None), (1.5, None)],
)
def test_a_total_is_a_count_or_nothing(total: object, read: int | None) -> None:
    assert decode_page(json.dumps({"chats": [], "total": total}).encode(), CHATS).total == read
    assert decode_page(json.dumps({"contacts": [], "total": total}).encode(), CONTACTS).total == read


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        *(('"total":1', "int"), ('"total":-1', "int"), ('"total":null', "null"), ('"total":"1"', "str")),
        *(('"total":true', "bool"), ('"total":1.5', "float"), ('"total":[]', "array"), ('"total":{}', "object")),
        ('"exported":1', ""),
    ],
)
def test_the_type_of_a_total_is_told(written: str, kind: str) -> None:
    for odd in ("", ',"message":"\\ud800"'):
        assert decode_page(f'{{"chats":[],{written}{odd}}}'.encode(), CHATS).total_type == kind
        assert decode_page(f'{{"contacts":[],{written}{odd}}}'.encode(), CONTACTS).total_type == kind


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html></html>", b'{"message":"error"}', b'{"chats":null}', b'{"chats":{}}', b'[{"chat_id":"c1"}]'),
        *(b'{"chats":[{}', b"[" * 100_000, b'{"contacts":[]}', b"\xff\xfe", b"null"),
    ],
)
def test_a_body_without_a_list_of_records_is_no_page(body: bytes) -> None:
    with pytest.raises(NotAPageError):
        decode_page(body, CHATS)


@pytest.mark.parametrize("odd", [b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\x01", b"\n"])
def test_a_page_with_odd_text_keeps_all_its_records(odd: bytes) -> None:
    body = b'{"message":"%s","chats":[%s,%s],"total":2}' % (odd, written("a"), written("b"))

    assert len(decode_page(body, CHATS).records) == 2


@pytest.mark.parametrize("odd", [b"NaN", b"-Infinity", b"9" * 5_000, b"1e999"])
def test_a_number_that_is_none_is_the_matter_of_its_record_whatever_else_the_page_holds(odd: bytes) -> None:
    numbered = json.dumps(CHAT | {"alias": "@"}).encode().replace(b'"@"', odd)
    body = b'{"chats":[%s,%s,%s],"total":3}' % (numbered, written("\\ud800"), written("b"))

    records = decode_page(body, CHATS).records

    assert [decode_head(raw, CHATS)[0] for raw in records[1:]] == ["c1", "c1"]
    assert [decode_chat(raw).record is not None for raw in records[1:]] == [True, True]
