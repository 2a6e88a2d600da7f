"""Which health checks that fail people are told of: those that no other trouble explains.

A check looks at what comes of everything, so it also fails where people know the reason: while B2Chat is down, the
newest hour grows old. Not here: what the checks judge (`health.py`), how long a cause lasts and how it is told
(`troubles.py`), reading results (`automation/health.py`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from b2chat_pipeline.policy.troubles import UNWELL, Failure, Incident, Level, cause_of

# After a trouble is over, what it left behind is made up for within this time; what still fails then has another cause.
AFTERMATH = timedelta(hours=3)
# A check has to fail for so long: the first looks after the daemon was off come before the loads that make up for it,
# and several looks are made up for at once.
CONFIRMED = timedelta(minutes=30)
# While these last, nothing is loaded, of either side.
_NOTHING_LOADED = frozenset({"source", "credentials", "database", "settings", "pause"})
# The causes of trouble that may have made a check fail. Hours that were tried eight times are told beside the trouble
# that kept them from being loaded, since from then on somebody has to load them: only where nothing can be loaded at
# all, they wait.
CONSEQUENCE_OF: Mapping[str, frozenset[str]] = {
    **{
        f"newest_hour_of_{side}": _NOTHING_LOADED
        | {"died", "stopped", f"answers {side}", f"rows {side}", f"failed {side}", "failed The job hourly_sync"}
        for side in ("chats", "contacts")
    },
    **{f"hours_of_{side}": _NOTHING_LOADED for side in ("chats", "contacts")},
    "rereads_as_promised": _NOTHING_LOADED
    | {"died", "stopped", "answers chats", "rows chats", "failed chats", "failed The job rereads"},
    "requests_left": frozenset({"pause"}),
    "no_record_put_aside": frozenset(),
    "contract_kept": frozenset(),
    "raw_weeks_ahead": frozenset({"database", "failed The job retention"}),
    "syncs_audited": frozenset({"database"}),
}
# Nothing mends these by itself, so people hear of their warnings too. Other warnings pass by themselves, or grow to
# errors.
WORTH_A_WARNING = frozenset({"no_record_put_aside", "contract_kept", "raw_weeks_ahead"})
_LEVELS: Sequence[Level] = ("error", "warning")


@dataclass(frozen=True)
class Finding:
    """The newest result of a health check, and since which look it has been failing."""

    check: str
    passed: bool
    level: Level
    # What it says, without personal data.
    sentence: str
    looked: datetime
    run_id: str
    failing_since: datetime | None

    @property
    def to_be_told(self) -> bool:
        """Whether people should hear of it, if nothing explains it."""
        lasts = self.failing_since is not None and self.looked - self.failing_since >= CONFIRMED
        return not self.passed and lasts and (self.level == "error" or self.check in WORTH_A_WARNING)


@dataclass(frozen=True)
class Explained:
    """Findings beside the troubles of loads and runs: those that are a trouble of their own, or were told as one; and
    those that are only what comes of another cause, with the time of the look, by the key of that cause.
    """

    failures: Sequence[Failure]
    consequences: Mapping[str, Mapping[str, datetime]]


def explain(findings: Sequence[Finding], failures: Collection[Failure], incidents: Collection[Incident]) -> Explained:
    """What findings say that the failures of loads and runs, and the incidents open or just over, do not."""
    known = {it.key: it for it in incidents if it.over is None}
    lasting = {cause_of(it).key for it in failures if not it.over} | set(known)
    ended = [it for it in incidents if it.over is not None]
    own = list[Failure]()
    consequences: dict[str, dict[str, datetime]] = defaultdict(dict)
    for finding in findings:
        told = list(_told_before(finding, known))
        own += told
        if not finding.to_be_told or any(it.code == UNWELL[finding.level] for it in told):
            continue
        cause = _explanation(finding, lasting, ended)
        if cause is None:
            own.append(_failure(finding, finding.level, ended=finding.looked, over=False))
        else:
            consequences[cause][finding.check] = finding.looked
    return Explained(own, consequences)


def _told_before(finding: Finding, known: Mapping[str, Incident]) -> Iterator[Failure]:
    """The finding as what people were told of it, at either level. An error does not end the warning before it."""
    for level in _LEVELS:
        over = finding.passed or (level == "error" and finding.level == "warning")
        failure = _failure(finding, level, ended=finding.looked, over=over)
        incident = known.get(cause_of(failure).key)
        if incident is not None:
            # A look that finds it mended is no failure more.
            yield _failure(finding, level, ended=incident.last, over=True) if over else failure


def _explanation(finding: Finding, lasting: Collection[str], ended: Collection[Incident]) -> str | None:
    """The key of a trouble that may have made a check fail: one that lasts, or was over too short a time ago."""
    possible = CONSEQUENCE_OF[finding.check]
    just_over = {it.key for it in ended if it.over is not None and finding.looked < it.over + AFTERMATH}
    return min(possible & set(lasting), default=None) or min(possible & just_over, default=None)


def _failure(finding: Finding, level: Level, *, ended: datetime, over: bool) -> Failure:
    return Failure(finding.check, UNWELL[level], finding.sentence, ended, finding.run_id, over=over)
