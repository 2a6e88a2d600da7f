"""What is wrong, by its cause: which failures have one cause, how long it lasts, what people are told of it.

Here belong the causes and their texts, which hold no personal data. Not here: where failures are found
(`warehouse/troubles.py`, `automation/failed_runs.py`), which health checks are a trouble of their own (`findings.py`),
and writing down what is decided (`warehouse/incidents.py`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from b2chat_pipeline.policy.circuit import REFUSING, SILENT

# Failures older than this are not looked at any more: what nobody has done again by then, nobody will.
WATCHED = timedelta(days=7)
# A trouble is over when nothing has failed for so long: a source that comes and goes within minutes is one trouble.
HELD = timedelta(minutes=15)
# A run that does nothing but load opens a sync within seconds, and tells of its hours when that is closed: beside its
# syncs it is never silent for so long.
SILENCE = timedelta(minutes=10)
# The code of a sync, or a run, whose process ended without a word.
DIED = "SyncDiedError"
# The code of a sync whose process was told to end.
_STOPPED = "SyncStoppedError"
# By the type of the error, as error_logs has it.
_DATABASE = frozenset({"WarehouseStoppedError", "WarehouseUnavailableError", "BooksOpenError", "DayHeldUpError"}) | {
    *("OperationalError", "DiskFull", "QueryCanceled", "LockNotAvailable", "AdminShutdown", "CannotConnectNow"),
}
_SETTINGS = frozenset({"SettingsError", "ZoneChangedError", "UnknownUserError"})
_ANSWERS = frozenset({"ContractError", "InvalidRequestError", "IncompleteListError"})
_ROWS = frozenset({"LoadError", "LedgerError", "NothingStoredError"})
# Gone as soon as anything of the kind ends well; every other one lasts until the very hours that failed are loaded.
OF_ALL_HOURS = SILENT | REFUSING | _DATABASE | _SETTINGS

Level = Literal["warning", "error"]
# The codes of health checks that fail.
UNWELL: Mapping[Level, str] = {"error": "HealthError", "warning": "HealthWarning"}


@dataclass(frozen=True)
class Failure:
    """A sync or a run that did not end well, or a health check that fails."""

    # What it was to bring: chats, contacts …, the name of a job, or of a check.
    subject: str
    # The type of its error; None where there was none, and it was only cut off.
    code: str | None
    # What is to be read there, without personal data.
    sentence: str
    ended: datetime
    run_id: str
    sync_id: str = ""
    # Whether it is made up for: what failed was done since.
    over: bool = False


@dataclass(frozen=True)
class Cause:
    """What failures have in common. `key` tells causes apart, `mend` says what happens by itself and what does not."""

    key: str
    title: str
    mend: str
    level: Level = "error"


@dataclass(frozen=True)
class Trouble:
    """A cause that lasts, with its failures that are not made up for, the oldest first."""

    cause: Cause
    failures: Sequence[Failure]

    @property
    def message(self) -> str:
        """What people are told when it begins."""
        sentence = self.failures[-1].sentence
        stop = "" if sentence.endswith(".") else "."
        return f"{sentence[:1].upper()}{sentence[1:]}{stop} {self.cause.mend}".rstrip()


@dataclass(frozen=True)
class Incident:
    """A cause that people were told of; `over` says when it was over, None while it lasts."""

    id: str
    key: str
    # When its first failure ended, how many there were, and when the last one ended.
    since: datetime
    times: int
    last: datetime
    over: datetime | None = None


@dataclass(frozen=True)
class Changes:
    """What to write down: troubles that nobody was told of, incidents that go on, and those that are over.

    A lapsed one is over only because nobody has tried again.
    """

    begun: Sequence[Trouble]
    going_on: Sequence[Incident]
    over: Sequence[Incident]
    lapsed: Sequence[Incident]


_BY_ITSELF = "Nothing is lost: what is missing is loaded by itself afterwards."
_THEN_YOURS = "The hours are tried again eight times, then they are left to you: see `b2chat doctor`."
# By the codes of their failures; `{subject}` is filled in, and makes one cause of each subject.
_CAUSES: Sequence[tuple[Collection[str | None], Cause]] = (
    (
        {None},
        Cause("pause", "Loading has to pause", f"{_BY_ITSELF} To read more a day, see the run-book.", "warning"),
    ),
    (
        SILENT,
        Cause(
            "source",
            "B2Chat cannot be read",
            f"{_BY_ITSELF} One hour is tried again after growing pauses, at least every hour.",
        ),
    ),
    (REFUSING, Cause("credentials", "B2Chat refuses the credentials", f"Put them right in .env. {_BY_ITSELF}")),
    (_DATABASE, Cause("database", "The database could not go on", f"See that it runs and has room. {_BY_ITSELF}")),
    (_SETTINGS, Cause("settings", "A setting has to be put right", f"Until then nothing is loaded. {_BY_ITSELF}")),
    ({DIED}, Cause("died", "The process of a run died", f"It is run again. {_BY_ITSELF}", "warning")),
    (
        {_STOPPED},
        Cause(
            "stopped",
            "A load was told to end",
            "The daemon runs it again where its process was ended; what somebody stopped is left to him.",
            "warning",
        ),
    ),
    (
        _ANSWERS,
        Cause("answers {subject}", "B2Chat's answers about {subject} are not what they should be", _THEN_YOURS),
    ),
    (_ROWS, Cause("rows {subject}", "Some {subject} could not be loaded", _THEN_YOURS)),
    # Their sentences end with what to do.
    ({UNWELL["error"]}, Cause("health {subject}", "The health check {subject} fails", "")),
    ({UNWELL["warning"]}, Cause("health {subject} warning", "The health check {subject} warns", "", "warning")),
)
_ANY_OTHER = Cause("failed {subject}", "{subject} failed", "See the run in the UI, and the run-book for its sentence.")


def cause_of(failure: Failure) -> Cause:
    """What a failure comes from."""
    cause = next((cause for codes, cause in _CAUSES if failure.code in codes), _ANY_OTHER)
    key, title = (text.format(subject=failure.subject) for text in (cause.key, cause.title))
    return replace(cause, key=key, title=title)


def together(syncs: Sequence[Failure], runs: Sequence[Failure]) -> list[Failure]:
    """The failures of syncs and of runs, the oldest first, each told once.

    A run that failed because of its sync is told by the sync; a sync that could not close its books, by its run.
    """
    ran = {run.run_id: run for run in runs if run.code != DIED}
    told = [
        replace(it, code=ran[it.run_id].code, sentence=ran[it.run_id].sentence)
        if it.code == DIED and it.run_id in ran
        else it
        for it in syncs
    ]
    of_syncs = {it.run_id for it in syncs}
    return sorted([*told, *(run for run in runs if run.run_id not in of_syncs)], key=lambda it: it.ended)


def presumed_dead(
    last_words: Mapping[str, datetime], last_syncs: Mapping[str, datetime | None], *, now: datetime
) -> list[str]:
    """Of the runs that do nothing but load and are not over, those whose process must be gone.

    Of each, when it said something last, and when its last sync was closed (None: one is open).
    """
    last = {run: last_syncs.get(run, last_words[run]) for run in silent(last_words, now=now)}
    return sorted(run for run, closed in last.items() if closed is not None and now - closed >= SILENCE)


def silent(last_words: Mapping[str, datetime], *, now: datetime) -> list[str]:
    """Of some runs, by when each said something last, those that are silent for so long that they may be dead."""
    return [run for run, said in last_words.items() if now - said >= SILENCE]


def changes(failures: Sequence[Failure], incidents: Collection[Incident], *, now: datetime) -> Changes:
    """What the failures that are known change about the open incidents. Nothing, where this is asked twice."""
    by_cause: dict[str, list[Failure]] = defaultdict(list)
    causes: dict[str, Cause] = {}
    for it in failures:
        cause = cause_of(it)
        causes[cause.key] = cause
        by_cause[cause.key].append(it)
    lasting = {key: left for key, every in by_cause.items() if (left := [it for it in every if not it.over])}
    known = {it.key: _now(it, by_cause.get(it.key, ())) for it in incidents}
    over = {key for key, it in known.items() if key in by_cause and key not in lasting and now - it.last >= HELD}
    return Changes(
        begun=[Trouble(causes[key], left) for key, left in lasting.items() if key not in known],
        going_on=[known[it.key] for it in incidents if it.key not in over and known[it.key] != it],
        over=[it for it in incidents if it.key in over],
        lapsed=[it for it in incidents if it.key not in by_cause],
    )


def _now(incident: Incident, failures: Sequence[Failure]) -> Incident:
    """An incident with the failures that came since; of some, only the newest is known."""
    ended = [it.ended for it in failures if it.ended >= incident.since]
    newer = sum(it > incident.last for it in ended)
    return replace(incident, times=max(incident.times + newer, len(ended)), last=max([incident.last, *ended]))


# How long a channel that did not take a notice is left alone; twice as long after each further time.
CHANNEL_PAUSE = timedelta(minutes=1)
LONGEST_CHANNEL_PAUSE = timedelta(hours=1)


def send_again_at(failed: datetime, *, attempts: int) -> datetime:
    """When a notice is sent again that a channel did not take so many times in a row, the last time then."""
    # The power is bounded, since the number of attempts is not.
    return failed + min(CHANNEL_PAUSE * 2.0 ** min(attempts - 1, 10), LONGEST_CHANNEL_PAUSE)
