"""Which health checks that fail people are told of, as tables: pure decisions."""

from datetime import UTC, datetime, timedelta

import pytest

from b2chat_pipeline.assets.health import SUBJECTS
from b2chat_pipeline.definitions import build_definitions
from b2chat_pipeline.policy.findings import (
    AFTERMATH,
    CONSEQUENCE_OF,
    WORTH_A_WARNING,
    Explained,
    Finding,
    explain,
)
from b2chat_pipeline.policy.troubles import UNWELL, Failure, Incident, Level, cause_of, changes

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD = "newest_hour_of_chats"


def finding(
    check: str = OLD, level: Level = "error", *, passed: bool = False, lasts: float = 1, ago: float = 0
) -> Finding:
    looked = NOW - ago * HOUR
    return Finding(check, passed, level, f"{check} said so.", looked, "run", None if passed else looked - lasts * HOUR)


def failure(code: str | None, *, subject: str = "chats", over: bool = False) -> Failure:
    return Failure(subject, code, "It failed.", NOW - HOUR, "r", over=over)


def incident(key: str, *, over: float | None = None) -> Incident:
    """What people were told of a day ago; `over` is in hours ago."""
    return Incident("i", key, NOW - 24 * HOUR, 1, NOW - 24 * HOUR, None if over is None else NOW - over * HOUR)


def told(explained: Explained) -> list[tuple[str, bool]]:
    return [(cause_of(it).key, it.over) for it in explained.failures]


def test_it_is_known_of_each_check_what_may_make_it_fail() -> None:
    assert set(CONSEQUENCE_OF) == set(SUBJECTS)
    assert set(SUBJECTS) >= WORTH_A_WARNING


def test_the_causes_are_such_as_failures_have() -> None:
    jobs = {job.name for job in build_definitions({}).get_repository_def().get_all_jobs()}
    subjects = ["chats", "contacts", *(f"The job {job}" for job in jobs)]
    codes = [
        None,
        "TransientError",
        "ForbiddenError",
        "DiskFull",
        "SettingsError",
        "SyncDiedError",
        "SyncStoppedError",
        "any other",
    ]
    failures = [failure(code, subject=it) for code in [*codes, "LoadError", "ContractError"] for it in subjects]
    keys = {cause_of(it).key for it in failures}

    assert {key for causes in CONSEQUENCE_OF.values() for key in causes} <= keys


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (finding(), ["health newest_hour_of_chats"]),
        (finding(passed=True), []),
        # It may have looked before the loads that make up for a daemon that was off.
        (finding(lasts=0), []),
        (finding(lasts=0.4), []),
        # It passes, or grows to an error.
        (finding(level="warning"), []),
        (finding("requests_left", "warning"), []),
        # Nothing mends these but a person.
        (finding("contract_kept", "warning"), ["health contract_kept warning"]),
        (finding("no_record_put_aside", "warning"), ["health no_record_put_aside warning"]),
        (finding("no_record_put_aside", "error"), ["health no_record_put_aside"]),
        (finding("raw_weeks_ahead", "warning"), ["health raw_weeks_ahead warning"]),
        (finding("syncs_audited"), ["health syncs_audited"]),
    ],
)
def test_people_hear_of_errors_and_of_warnings_that_nothing_mends(found: Finding, keys: list[str]) -> None:
    assert told(explain([found], [], [])) == [(key, False) for key in keys]


@pytest.mark.parametrize(
    ("check", "failed", "cause"),
    [
        (OLD, failure("TransientError"), "source"),
        (OLD, failure("TransientError", subject="contacts"), "source"),
        (OLD, failure("ForbiddenError"), "credentials"),
        (OLD, failure("DiskFull"), "database"),
        (OLD, failure("ZoneChangedError"), "settings"),
        (OLD, failure("SyncDiedError"), "died"),
        (OLD, failure("SyncStoppedError"), "stopped"),
        (OLD, failure(None), "pause"),
        (OLD, failure("LoadError"), "rows chats"),
        (OLD, failure("LoadError", subject="contacts"), None),
        (OLD, failure("ContractError"), "answers chats"),
        (OLD, failure("RunFailed", subject="The job hourly_sync"), "failed The job hourly_sync"),
        (OLD, failure("RunFailed", subject="The job retention"), None),
        (OLD, failure("TransientError", over=True), None),
        ("hours_of_chats", failure("TransientError"), "source"),
        # These were tried eight times, and are a person's now.
        ("hours_of_chats", failure("LoadError"), None),
        ("rereads_as_promised", failure("TransientError"), "source"),
        ("rereads_as_promised", failure(None), "pause"),
        ("rereads_as_promised", failure("RunFailed", subject="The job rereads"), "failed The job rereads"),
        ("raw_weeks_ahead", failure("TransientError"), None),
        ("raw_weeks_ahead", failure("RunFailed", subject="The job retention"), "failed The job retention"),
        ("no_record_put_aside", failure("TransientError"), None),
        ("contract_kept", failure("ContractError"), None),
    ],
)
def test_what_comes_of_another_trouble_is_not_told_beside_it_but_counted(
    check: str, failed: Failure, cause: str | None
) -> None:
    explained = explain([finding(check)], [failed], [])

    assert told(explained) == ([] if cause else [(f"health {check}", False)])
    assert explained.consequences == ({cause: {check: NOW}} if cause else {})


@pytest.mark.parametrize(
    ("over", "ago", "keys"),
    [(1, 0, []), (2.9, 0, []), (3, 0, [OLD]), (4, 1.5, []), (99, 0, [OLD]), (99, 97, [])],
    ids=["just over", "nearly", "long over", "not looked at since", "days ago", "looked at soon after, and not again"],
)
def test_what_still_fails_some_time_after_its_cause_is_over_is_told(over: float, ago: float, keys: list[str]) -> None:
    explained = explain([finding(ago=ago)], [], [incident("source", over=over)])

    assert timedelta(hours=3) == AFTERMATH
    assert told(explained) == [(f"health {key}", False) for key in keys]
    assert list(explained.consequences) == ([] if keys else ["source"])


def test_what_people_were_told_of_stays_one_trouble_whatever_else_begins() -> None:
    known = incident("health newest_hour_of_chats")

    assert told(explain([finding()], [failure("TransientError")], [known])) == [(known.key, False)]
    assert told(explain([finding(passed=True)], [failure("TransientError")], [known])) == [(known.key, True)]


def test_a_warning_that_grows_is_told_again_and_the_error_ends_where_it_becomes_a_warning() -> None:
    check = "no_record_put_aside"
    warned, failed = incident(f"health {check} warning"), incident(f"health {check}")

    grown = explain([finding(check)], [], [warned])
    shrunk = explain([finding(check, "warning")], [], [warned, failed])

    assert told(grown) == [(warned.key, False), (failed.key, False)]
    assert told(shrunk) == [(failed.key, True), (warned.key, False)]


def test_each_look_counts_and_the_one_that_passes_ends_it_without_counting() -> None:
    known = incident("health newest_hour_of_chats")

    on = changes(explain([finding()], [], [known]).failures, [known], now=NOW)
    over = changes(explain([finding(passed=True)], [], [known]).failures, [known], now=NOW)

    assert [(it.times, it.last) for it in on.going_on] == [(2, NOW)]
    assert (over.over, over.going_on) == ([known], [])
    assert set(UNWELL) == {"error", "warning"}
