"""`b2chat notifications`: what administrators were told, once, and marking it as read."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from b2chat_pipeline.commands.notifications import NoSuchNotificationError, list_notifications, read
from b2chat_pipeline.policy.troubles import Failure, Trouble, cause_of
from b2chat_pipeline.warehouse.accounts import UnknownUserError, ensure_users, user_id
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.warehouse.incidents import Audience, begin, end, open_incidents
from b2chat_pipeline_tests.dagster_support import ADMIN, account_environment

pytestmark = pytest.mark.any_postgres

NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND_ADMIN = "second@example.test"


@pytest.fixture
def settings(database_url: str) -> Mapping[str, str]:
    """Of an account whose two administrators were told of two troubles."""
    with connect(database_url, purpose="prepare") as connection:
        ensure_users(connection, (ADMIN, SECOND_ADMIN), now=NOW)
        users = [user_id(connection, email) for email in (ADMIN, SECOND_ADMIN)]
        audience = Audience(users, [], ZoneInfo("America/Bogota"))
        for at, code in ((NOW, "TransientError"), (NOW + HOUR, "LoadError")):
            failures = [Failure("chats", code, "It [did] not.", at, f"run {number}") for number in range(3)]
            begin(connection, Trouble(cause_of(failures[0]), failures), audience, now=at)
    return account_environment("http://127.0.0.1:1", database_url)


@pytest.fixture
def listed(settings: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def say(*, user: str | None = None, everything: bool = False) -> str:
        list_notifications(settings, user=user, everything=everything)
        return capsys.readouterr().out

    return say


def test_what_two_administrators_were_told_is_one_entry_and_the_newest_comes_first(listed: Callable[..., str]) -> None:
    told = listed()

    assert told.count("B2Chat cannot be read (error, 2 more times)  2025-03-12 13:00") == 1
    assert told.index("Some chats could not be loaded") < told.index("B2Chat cannot be read")
    assert "Since 2025-03-12 13:00 America/Bogota: It [did] not. Nothing is lost" in told


def test_what_is_read_is_listed_no_more_but_among_all_until_it_is_over(
    settings: Mapping[str, str], listed: Callable[..., str]
) -> None:
    with connect(settings["B2CHAT_DATABASE_URL"], purpose="look") as connection:
        source, _ = open_incidents(connection)
        read(settings, source.id, user=ADMIN)
        by_one, by_the_other, all_of_one = (
            listed(user=ADMIN),
            listed(user=SECOND_ADMIN),
            listed(user=ADMIN, everything=True),
        )
        read(settings, None, user=None)
        nothing = listed()
        end(connection, source, Audience([], [], ZoneInfo("America/Bogota")), lapsed=False, now=NOW + 2 * HOUR)

    assert "B2Chat cannot be read" not in by_one
    assert "B2Chat cannot be read" in by_the_other
    assert "B2Chat cannot be read" in all_of_one
    assert "No unread notification in database " in nothing
    assert "B2Chat cannot be read (success, 2 more times)" in listed()
    assert "Over, seen 2025-03-12 15:00 America/Bogota." in listed()


def test_an_id_or_a_user_that_is_none_is_one_sentence(settings: Mapping[str, str]) -> None:
    with pytest.raises(NoSuchNotificationError, match=r"^'none' is no notification in database \S+ at "):
        read(settings, "none", user=None)
    with pytest.raises(UnknownUserError):
        list_notifications(settings, user="nobody@example.test", everything=False)
