"""What is told of failures: which have one cause, when it begins, how it is counted, when it is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from b2chat_pipeline.policy.troubles import (
    CHANNEL_PAUSE,
    DIED,
    LONGEST_CHANNEL_PAUSE,
    SILENCE,
    UNWELL,
    Changes,
    Failure,
    Incident,
    cause_of,
    changes,
    presumed_dead,
    send_again_at,
    together,
)

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failure(code: str | None, *, ago: int = 0, subject: str = "chats", over: bool = False, run: str = "") -> Failure:
    return Failure(subject, code, f"It was {code}.", NOW - ago * HOUR, run or f"run {code} {subject} {ago}", over=over)


def told(key: str, *, since: int, times: int, last: int) -> Incident:
    """What people were told of, in hours ago."""
    return Incident(f"of {key}", key, NOW - since * HOUR, times, NOW - last * HOUR)


@pytest.mark.parametrize(
    ("code", "key"),
    [
        (None, "pause"),
        ("TransientError", "source"),
        ("RateLimitedError", "source"),
        ("RequestTimeout", "source"),
        ("NotFoundError", "source"),
        ("AuthenticationError", "credentials"),
        ("ForbiddenError", "credentials"),
        ("WarehouseStoppedError", "database"),
        ("BooksOpenError", "database"),
        ("DayHeldUpError", "database"),
        ("SettingsError", "settings"),
        ("ZoneChangedError", "settings"),
        (DIED, "died"),
        ("SyncStoppedError", "stopped"),
        ("ContractError", "answers chats"),
        ("IncompleteListError", "answers chats"),
        ("LoadError", "rows chats"),
        ("LedgerError", "rows chats"),
        (UNWELL["error"], "health chats"),
        (UNWELL["warning"], "health chats warning"),
        ("ZeroDivisionError", "failed chats"),
    ],
)
def test_a_failure_has_one_cause(code: str | None, key: str) -> None:
    assert cause_of(failure(code)).key == key


def test_the_codes_are_the_names_of_types_that_there_are() -> None:
    modules = [
        *("b2chat.errors", "settings", "ingest.loading", "ingest.sync", "ingest.bookkeeping"),
        *("warehouse.books", "warehouse.connection", "warehouse.accounts"),
    ]
    names = {name for module in modules for name in vars(import_module(f"b2chat_pipeline.{module}"))}
    rows = test_a_failure_has_one_cause.pytestmark[0].args[1]  # type: ignore[attr-defined]

    assert {code for code, _ in rows if code} - names - set(UNWELL.values()) == {"ZeroDivisionError"}


def test_what_fails_for_one_reason_on_both_sides_and_again_and_again_is_told_once() -> None:
    failures = [
        *(failure("TransientError", ago=3), failure("RequestTimeout", ago=2, subject="contacts")),
        *(failure("TransientError", ago=1), failure("LoadError", ago=1), failure("LoadError", subject="contacts")),
    ]

    begun = changes(failures, [], now=NOW).begun

    assert [(it.cause.key, len(it.failures)) for it in begun] == [
        ("source", 3),
        ("rows chats", 1),
        ("rows contacts", 1),
    ]


@pytest.mark.parametrize(
    ("failures", "incidents", "expected"),
    [
        ([], [], ""),
        ([failure("TransientError", over=True)], [], ""),
        ([failure("TransientError")], [], "begun source"),
        ([failure("TransientError")], [told("source", since=0, times=1, last=0)], ""),
        (
            [failure("TransientError", ago=2), failure("TransientError")],
            [told("source", since=2, times=1, last=2)],
            "source 2",
        ),
        (
            [failure("TransientError", ago=2, over=True), failure("TransientError")],
            [told("source", since=2, times=1, last=2)],
            "source 2",
        ),
        # What came before the incident was of another one.
        (
            [failure("TransientError", ago=9, over=True), failure("TransientError", ago=2)],
            [told("source", since=2, times=1, last=2)],
            "",
        ),
        # The oldest are not looked at any more, but they were.
        ([failure("TransientError")], [told("source", since=200, times=70, last=1)], "source 71"),
        ([failure("TransientError", ago=1, over=True)], [told("source", since=1, times=1, last=1)], "over source"),
        # It was made up for within minutes, and may come back within minutes.
        ([failure("TransientError", over=True)], [told("source", since=0, times=1, last=0)], ""),
        (
            [failure("TransientError", ago=1, over=True), failure("TransientError", over=True)],
            [told("source", since=1, times=1, last=1)],
            "source 2",
        ),
        ([], [told("source", since=200, times=1, last=200)], "lapsed source"),
        (
            [failure("TransientError", ago=1, over=True), failure("LoadError")],
            [told("source", since=1, times=1, last=1)],
            "begun rows chats, over source",
        ),
    ],
)
def test_what_is_written_down_follows_from_the_failures_and_from_what_people_know(
    failures: list[Failure], incidents: list[Incident], expected: str
) -> None:
    assert _as_text(changes(failures, incidents, now=NOW)) == expected


def _as_text(told: Changes) -> str:
    return ", ".join(
        [
            *(f"begun {it.cause.key}" for it in told.begun),
            *(f"{it.key} {it.times}" for it in told.going_on),
            *(f"over {it.key}" for it in told.over),
            *(f"lapsed {it.key}" for it in told.lapsed),
        ]
    )


def test_a_source_that_comes_and_goes_within_minutes_is_one_trouble_that_is_over_once() -> None:
    incidents: list[Incident] = []
    failures: list[Failure] = []
    told = []
    for minute in range(120):
        now = NOW + timedelta(minutes=minute)
        # For an hour it is up for three minutes of six.
        if minute < 60 and minute % 6 < 3:
            failures.append(replace(failure("TransientError", run=str(minute)), ended=now))
        elif failures:
            failures = [replace(it, over=True) for it in failures]
        changed = changes(failures, incidents, now=now)
        told.append(_as_text(Changes(changed.begun, [], changed.over, changed.lapsed)))
        begun = [Incident("i", it.cause.key, now, 1, now) for it in changed.begun]
        incidents = begun or list(changed.going_on) or ([] if changed.over else incidents)

    assert [(minute, it) for minute, it in enumerate(told) if it] == [(0, "begun source"), (71, "over source")]


def test_a_run_that_failed_with_its_sync_is_told_by_the_sync_and_books_left_open_by_the_run() -> None:
    syncs = [failure("LoadError", run="one", ago=3), failure(DIED, run="two", ago=2), failure(DIED, run="three")]
    runs = [
        failure("RunFailed", run="one", subject="job"),
        failure("BooksOpenError", run="two", subject="job"),
        failure(DIED, run="three", subject="job"),
        failure("ModelError", run="four", subject="job", ago=1),
    ]

    whole = together(syncs, runs)

    assert [(it.run_id, it.subject, it.code) for it in whole] == [
        *(("one", "chats", "LoadError"), ("two", "chats", "BooksOpenError")),
        *(("four", "job", "ModelError"), ("three", "chats", DIED)),
    ]


def test_a_channel_that_does_not_answer_is_tried_after_pauses_that_double_up_to_an_hour() -> None:
    pauses = [send_again_at(NOW, attempts=attempts) - NOW for attempts in (1, 2, 3, 50)]

    assert pauses == [CHANNEL_PAUSE, 2 * CHANNEL_PAUSE, 4 * CHANNEL_PAUSE, LONGEST_CHANNEL_PAUSE]


def test_a_run_that_has_no_sync_open_and_is_silent_for_ten_minutes_is_presumed_dead() -> None:
    lately = NOW - SILENCE + timedelta(seconds=1)
    said = {"just now": NOW, "lately": lately, "long ago": NOW - SILENCE} | dict.fromkeys(
        ("at work", "has just closed its books", "closed them long ago"), NOW - 5 * SILENCE
    )
    closed = {"at work": None, "has just closed its books": lately, "closed them long ago": NOW - SILENCE}

    assert presumed_dead(said, closed, now=NOW) == ["closed them long ago", "long ago"]
