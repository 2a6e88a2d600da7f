"""The `b2chat quarantine` command: counts without personal data, one record on request, trying again."""

import re
from datetime import UTC, datetime

import pytest

from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.ledger import Rejected, put_aside
from b2chat_pipeline_tests.command_support import Command, Said

pytestmark = pytest.mark.any_postgres

READ_AT = datetime(2025, 3, 4, 12, tzinfo=UTC)
HOUR = datetime(2025, 3, 3, 14, tzinfo=UTC)
GOOD = '{"chat_id": "chat-1", "created_at": "2025-03-03 09:10:00", "alias": "Ana Invented"}'
BAD = '{"chat_id": "chat-2", "created_at": "2025-03-03 09:10:00", "alias": 7}'


def test_what_was_put_aside_is_listed_shown_and_tried_again(b2chat: Command, database_url: str) -> None:
    def quarantine(*arguments: str) -> Said:
        urls = {"B2CHAT_DATABASE_URL": database_url, "DAGSTER_DATABASE_URL": database_url}
        return b2chat("quarantine", *arguments, **urls)

    with connect(database_url, purpose="prepare") as connection:
        for key, raw in (("chat-1", GOOD), ("chat-2", BAD)):
            odd = Rejected("chats", "/chats/export", key, "no text", "$.alias", raw, HOUR, READ_AT)
            put_aside(connection, "a sync", [odd], now=READ_AT)
        (newest,) = connection.execute("select max(id) from ops.quarantine").fetchone() or ("",)

    nothing = quarantine("replay", "--entity", "agents")
    listed, shown = quarantine("list"), quarantine("show", newest)
    replayed, again = quarantine("replay"), quarantine("replay")
    absent = quarantine("show", "nothing")

    assert listed.status == shown.status == replayed.status == again.status == 0, (listed, shown, replayed, again)
    assert re.fullmatch(r"The quarantine holds no open record in database \S+ at \S+\n", nothing.output)
    assert newest in listed.output
    assert "Put aside in database" in listed.output
    assert "no text" in listed.output
    assert "Invented" not in listed.output
    assert '"chat_id": "chat-' in shown.output
    assert replayed.output.splitlines() == [
        "1 resolved: entered by a replay of the quarantine.",
        "1 still does not fit.",
    ]
    assert again.output == "1 still does not fit.\n"
    assert absent.status == 1
    assert re.fullmatch(r"b2chat: 'nothing' is no record in quarantine in database [^\n]*\n", absent.errors)
