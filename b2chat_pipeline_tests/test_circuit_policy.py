"""When a source counts as down, and when it is asked again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from b2chat_pipeline.b2chat import errors
from b2chat_pipeline.policy.circuit import (
    LONGEST_PAUSE,
    REFUSING,
    SHORTEST_PAUSE,
    SILENT,
    Outage,
    SyncEnd,
    opens,
    outage,
)

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# How a sync ended, by a letter.
ENDS: dict[str, tuple[str, str | None]] = {
    "s": ("success", None),
    "d": ("error", "TransientError"),
    "r": ("error", "AuthenticationError"),
    "c": ("error", "ContractError"),
    "l": ("error", "LoadError"),
    "x": ("error", "SyncDiedError"),
    "w": ("error", "WarehouseStoppedError"),
    "b": ("partial", None),
    "p": ("partial", "TransientError"),
}


def ends(told: str) -> Iterator[SyncEnd]:
    """Syncs as letters, the oldest first, a minute apart, the last one now; as the books tell them."""
    for ago, letter in enumerate(reversed(told)):
        yield SyncEnd(NOW - ago * MINUTE, *ENDS[letter])


@pytest.mark.parametrize(
    ("told", "since", "failed"),
    [
        ("sd", 0, 0),
        ("dddd", 3, 0),
        ("srdrd", 3, 0),
        ("sdxwb", 3, 3),
        ("sdbdx", 3, 1),
        ("sdp", 1, 1),
    ],
)
def test_it_opens_with_a_sync_that_could_read_nothing_and_says_since_when(told: str, since: int, failed: int) -> None:
    assert outage(ends(told)) == Outage(NOW - since * MINUTE, NOW - failed * MINUTE)


@pytest.mark.parametrize("told", ["", "s", "b", "x", "p", "ds", "dc", "dl", "dsx", "dswbp"])
def test_it_is_closed_where_the_source_answered_since_or_was_never_silent(told: str) -> None:
    assert outage(ends(told)) is None


@pytest.mark.parametrize(
    ("lasted", "pause"),
    [
        (timedelta(), SHORTEST_PAUSE),
        (3 * MINUTE, SHORTEST_PAUSE),
        (5 * MINUTE, 5 * MINUTE),
        (20 * MINUTE, 20 * MINUTE),
        (40 * MINUTE, 40 * MINUTE),
        (61 * MINUTE, LONGEST_PAUSE),
        (timedelta(days=3), LONGEST_PAUSE),
    ],
)
def test_the_pause_before_the_next_probe_grows_with_the_outage(lasted: timedelta, pause: timedelta) -> None:
    assert Outage(NOW - lasted, NOW).next_probe == NOW + pause


def test_a_day_without_the_source_takes_27_probes() -> None:
    down, probes = Outage(NOW, NOW), 0
    while down.next_probe < NOW + timedelta(days=1):
        down, probes = Outage(NOW, down.next_probe), probes + 1

    assert probes == 27


def test_every_error_that_is_no_answer_to_a_right_question_opens_it() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    others = {"B2ChatError", "BudgetExhausted", "ContractError", "IncompleteListError", "InvalidRequestError"}

    assert kinds >= SILENT | REFUSING
    assert {name for name in kinds if opens("error", name)} == kinds - others
    assert not any(opens("partial", name) for name in kinds)
