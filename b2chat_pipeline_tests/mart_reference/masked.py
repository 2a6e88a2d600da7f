"""What analysts see of the core tables: everything but who somebody is and what was written."""

from collections.abc import Iterator

from b2chat_pipeline_tests.mart_reference.account import Account, Row
from b2chat_pipeline_tests.mart_reference.figures import mart


def _shown(row: Row, names: str, **renamed: str) -> Row:
    return {name: row[column] for name, column in renamed.items()} | {name: row[name] for name in names.split()}


@mart
def masked_agents(account: Account) -> Iterator[Row]:
    for row in account.tables["agents"]:
        yield _shown(row, "name department_id is_active is_deleted last_seen_at", agent_id="id")


@mart
def masked_chats(account: Account) -> Iterator[Row]:
    for row in account.tables["chats"]:
        yield _shown(
            row,
            "b2chat_id agent_id contact_id department_id provider raw_provider status raw_status is_agent_available"
            " alias tags priority unread_count created_at opened_at picked_up_at response_at closed_at duration"
            " is_deleted deleted_at last_modified_at messages_told",
            chat_id="id",
        )


@mart
def masked_contacts(account: Account) -> Iterator[Row]:
    for row in account.tables["contacts"]:
        yield _shown(row, "city country is_full is_deleted created_at updated_at last_seen_at", contact_id="id") | {
            "has_phone_number": row["mobile"] is not None or row["phone_number"] is not None,
            "has_email": row["email"] is not None,
            "has_identification": row["identification"] is not None,
        }


@mart
def masked_departments(account: Account) -> Iterator[Row]:
    for row in account.tables["departments"]:
        yield _shown(row, "b2chat_code name parent_id path level is_leaf is_active last_seen_at", department_id="id")


@mart
def masked_messages(account: Account) -> Iterator[Row]:
    for row in account.tables["messages"]:
        names = (
            "chat_id position incoming broadcasted type raw_type media_size media_mime_type media_backed_up"
            " superseded_at"
        )
        yield _shown(row, names, sent_at="timestamp") | {
            "text_length": _length(row["text"]),
            "caption_length": _length(row["caption"]),
        }


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)
