"""What the operator sets: wrong values are one sentence, secrets stay hidden, the environment wins."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest

import b2chat_pipeline
from b2chat_pipeline.settings import (
    VARIABLES,
    SettingsError,
    check_all,
    env_example,
    read_account,
    read_admin_emails,
    read_raw_retention,
    read_source,
    read_storage,
)

PROJECT = Path(b2chat_pipeline.__file__).parents[1]
GOOD = {
    "B2CHAT_USERNAME": "api-user",
    "B2CHAT_PASSWORD": "a-very-secret-word",
    "B2CHAT_TIMEZONE": "America/Bogota",
    "B2CHAT_START_DATE": "2026-01-31",
}


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_setting_is_named_with_the_next_step(name: str, value: str | None) -> None:
    environ = {key: text for key, text in GOOD.items() if key != name} | ({} if value is None else {name: value})

    with pytest.raises(SettingsError, match=rf"^{name} is not set: .*\.env.*demo") as caught:
        check_all(environ)

    assert "\n" not in str(caught.value)


WRONG: list[tuple[str, str]] = [
    *(("B2CHAT_TIMEZONE", text) for text in ("Bogota", "America", "../etc/passwd", "UTC-5", "a\0b", "América/Bogotá")),
    *(("B2CHAT_START_DATE", text) for text in ("31/01/2026", "2026-02-30", "tomorrow", "20260-01-01")),
    *(("B2CHAT_API_URL", text) for text in ("api.b2chat.io", "ftp://api.b2chat.io", "https://", "http://[::1")),
    *(("B2CHAT_REQUESTS_PER_SECOND", text) for text in ("-1", "five", "1e5", "5,5", "٣", "nan", "0." + "0" * 40 + "1")),
    *(("B2CHAT_REQUESTS_PER_DAY", text) for text in ("-1", "0.5", "many", "1e4", "9" * 40)),
    *(("B2CHAT_RAW_RETENTION_DAYS", text) for text in ("0", "-1", "1.5", "a month", "99999")),
    *(("B2CHAT_ADMIN_EMAILS", text) for text in ("ana", "ana@example.test; luis@example.test", "ana @example.test")),
    *(("B2CHAT_DATABASE_URL", text) for text in ("mysql://u:hidden@h/d", "host=h password=hidden", "u:hidden@h")),
    ("DAGSTER_DATABASE_URL", "sqlite:///hidden.db"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_one_sentence_that_names_it_and_what_is_right(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_all(GOOD | {name: value})

    sentence = str(caught.value)
    assert re.fullmatch(rf"{name} (is|holds) .+: .+\.", sentence)
    assert "hidden" not in sentence


def test_good_settings_are_read_as_typed_values() -> None:
    account, source = read_account(GOOD), read_source(GOOD)

    assert (account.zone.key, account.first_day) == ("America/Bogota", date(2026, 1, 31))
    assert (source.api_url, source.username) == ("https://api.b2chat.io", "api-user")
    assert (source.requests_per_second, source.requests_per_day) == (5.0, 10_000)


def test_zero_switches_a_ceiling_off() -> None:
    source = read_source(GOOD | {"B2CHAT_REQUESTS_PER_SECOND": "0", "B2CHAT_REQUESTS_PER_DAY": "0"})

    assert (source.requests_per_second, source.requests_per_day) == (0, 0)


def test_secrets_are_in_no_repr() -> None:
    url = "postgresql://loader:a-very-secret-word@db.example.test/warehouse"

    source, storage = (
        read_source(GOOD),
        read_storage({"B2CHAT_DATABASE_URL": url, "DAGSTER_DATABASE_URL": url}),
    )

    assert (source.password, storage.database_url, storage.dagster_database_url) == ("a-very-secret-word", url, url)
    assert "a-very-secret-word" not in repr(source) + repr(storage)


ReadOne = Callable[[Mapping[str, str], Mapping[str, str]], object]
STORED: list[tuple[str, str, str, ReadOne]] = [
    ("B2CHAT_API_URL", "https://one.test", "https://two.test", lambda e, s: read_source(e, s).api_url),
    ("B2CHAT_REQUESTS_PER_SECOND", "1", "2", lambda e, s: f"{read_source(e, s).requests_per_second:g}"),
    ("B2CHAT_REQUESTS_PER_DAY", "100", "200", lambda e, s: str(read_source(e, s).requests_per_day)),
    ("B2CHAT_RAW_RETENTION_DAYS", "7", "14", lambda e, s: str(read_raw_retention(e, s).days)),
    ("B2CHAT_ADMIN_EMAILS", "a@one.test", "b@two.test", lambda e, s: ",".join(read_admin_emails(e, s))),
]


@pytest.mark.parametrize(("name", "in_environment", "stored", "read"), STORED)
def test_the_environment_wins_over_the_stored_setting_and_that_over_the_default(
    name: str, in_environment: str, stored: str, read: ReadOne
) -> None:
    assert read(GOOD | {name: in_environment}, {name: stored}) == in_environment
    assert read(GOOD, {name: stored}) == stored
    assert read(GOOD | {name: "  "}, {name: stored}) == stored
    assert read(GOOD, {}) == next(variable.default for variable in VARIABLES if variable.name == name)


def test_only_the_settings_that_say_so_may_be_stored() -> None:
    with pytest.raises(SettingsError, match="B2CHAT_PASSWORD is not set"):
        read_source({"B2CHAT_USERNAME": "api-user"}, {"B2CHAT_PASSWORD": "stored"})

    assert {variable.name for variable in VARIABLES if variable.stored} == {name for name, *_ in STORED}


def test_administrators_are_lower_case_and_each_once() -> None:
    environ = {"B2CHAT_ADMIN_EMAILS": " Ana@Example.test, luis@example.test,,ana@example.test "}

    assert read_admin_emails(environ) == ("ana@example.test", "luis@example.test")


def test_a_url_may_name_a_driver_and_the_embedded_server_is_the_default() -> None:
    assert read_storage({}).database_url is None
    url = "postgresql+psycopg2://u:p@h/d"
    assert read_storage({"DAGSTER_DATABASE_URL": url}).dagster_database_url == url


def test_the_example_in_the_project_is_what_the_table_of_variables_says() -> None:
    assert (PROJECT / ".env.example").read_text() == env_example()


def test_the_example_names_every_variable_once_and_checks_out() -> None:
    lines = env_example().splitlines()
    named = [re.sub(r"^# ", "", line).partition("=") for line in lines if re.match(r"(# )?[A-Z0-9_]+=", line)]

    assert [name for name, _, _ in named] == [variable.name for variable in VARIABLES]
    check_all({name: value for name, _, value in named})
