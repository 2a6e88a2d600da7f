"""Whatever becomes of a page, nothing of it is lost: every record and message is decoded or put aside."""

import json
from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from b2chat_pipeline.b2chat.contract import (
    CHATS,
    CONTACTS,
    Chat,
    Endpoint,
    NotAPageError,
)
from b2chat_pipeline.b2chat.decoding import decode_chat, decode_contact, decode_page
from b2chat_pipeline_tests.contract_samples import CHAT, CONTACT, MESSAGE

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def mutations(record: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The record with some of its fields (or, for a chat, of its messages') replaced by anything."""
    some = st.dictionaries(st.sampled_from(sorted(record)) | st.text(max_size=5), JSON, max_size=4)
    messages = st.lists(
        st.dictionaries(st.sampled_from(sorted(MESSAGE)), JSON, max_size=2).map(lambda it: MESSAGE | it) | JSON
    )
    told = some if record is not CHAT else st.tuples(some, messages).map(lambda it: {"messages": it[1]} | it[0])
    return told.map(lambda changes: record | changes)


def check_nothing_is_lost(records: list[Any], endpoint: Endpoint) -> None:
    body = json.dumps({endpoint[1:-7]: records, "total": len(records)}).encode()

    page = decode_page(body, endpoint)

    assert len(page.records) == len(records)
    for raw, told in zip(page.records, records, strict=True):
        decoded = (decode_chat if endpoint == CHATS else decode_contact)(raw)
        aside = Counter(misfit.entity for misfit in decoded.misfits)
        whole = aside[endpoint[1:-7]]
        assert (decoded.record is None) == (whole == 1)
        if isinstance(decoded.record, Chat):
            messages = told["messages"]
            number = len(messages) if isinstance(messages, list) else int(messages is not None)
            assert len(decoded.record.messages or ()) + aside["messages"] == number
        if decoded.record is not None:
            stored = msgspec.json.encode(decoded.record).decode()
            assert "\\u0000" not in stored


@given(st.lists(mutations(CHAT) | JSON, max_size=4))
def test_whatever_comes_of_a_page_of_chats_every_record_and_message_is_decoded_or_put_aside(records: list[Any]) -> None:
    check_nothing_is_lost(records, CHATS)


@given(st.lists(mutations(CONTACT) | JSON, max_size=4))
def test_whatever_comes_of_a_page_of_contacts_every_record_is_decoded_or_put_aside(records: list[Any]) -> None:
    check_nothing_is_lost(records, CONTACTS)


@given(st.data())
def test_a_page_with_damaged_bytes_is_a_page_or_no_page_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(json.dumps({"chats": [CHAT, CHAT], "total": 2}).encode())
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    try:
        records = decode_page(bytes(body), CHATS).records
    except NotAPageError:
        return
    for raw in records:
        decoded = decode_chat(raw)
        assert decoded.record is not None or decoded.misfits
