"""Whose personal data a conversation may hold, by our own tables: its customer, and every agent.

Not here: taking it out of texts (`redaction.py`).
"""

from collections.abc import Mapping, Sequence

from psycopg import Connection

from b2chat_pipeline.analysis.redaction import Person

_CONTACTS = """
    select c.id, p.full_name, p.company, p.mobile, p.phone_number, p.email, p.identification, p.address
      from chats c
      join contacts p on p.id = c.contact_id
     where c.id = any(%s)
"""
_AGENTS = "select name, username, email from agents"
_KINDS = ("PHONE", "PHONE", "EMAIL", "DOCUMENT", "ADDRESS")


def agents(connection: Connection) -> list[Person]:
    """All agents: customers and agents name others than the one who serves the chat."""
    return [
        Person(names=_told(name, username), values=_values(("EMAIL",), (email,)))
        for name, username, email in connection.execute(_AGENTS)
    ]


def customers(connection: Connection, chat_ids: Sequence[str]) -> Mapping[str, Person]:
    """The customers of some chats, by the chat's id."""
    return {
        chat_id: Person(names=_told(name, company), values=_values(_KINDS, values))
        for chat_id, name, company, *values in connection.execute(_CONTACTS, (list(chat_ids),))
    }


def _told(*names: str | None) -> list[str]:
    return [name for name in names if name and name.strip()]


def _values(kinds: Sequence[str], values: Sequence[str | None]) -> list[tuple[str, str]]:
    return [(kind, value) for kind, value in zip(kinds, values, strict=True) if value and value.strip()]
