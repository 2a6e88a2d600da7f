"""Watches over what does not end well: closes the books of the dead, and has people told of each cause once.

Here belongs putting facts before the policy, and writing down what it decides. Not here: Dagster's runs
(`automation/failed_runs.py`) and checks (`automation/health.py`), the decisions (`policy/troubles.py`,
`policy/findings.py`), sending to channels (`channels.py`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import ENTITIES
from b2chat_pipeline.operations.channels import channel_name
from b2chat_pipeline.policy.findings import AFTERMATH, Finding, explain
from b2chat_pipeline.policy.troubles import DIED, WATCHED, Changes, Failure, changes, presumed_dead, silent, together
from b2chat_pipeline.settings import SettingsError, read_account, read_admin_emails, read_notify_urls
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users, stored_settings, user_id
from b2chat_pipeline.warehouse.books import close_dead
from b2chat_pipeline.warehouse.incidents import (
    Audience,
    begin,
    end,
    go_on,
    known_incidents,
    note_consequences,
    record_failed_run,
)
from b2chat_pipeline.warehouse.notifications import not_put_out
from b2chat_pipeline.warehouse.outbox import put_out
from b2chat_pipeline.warehouse.troubles import dead_runs, failed_syncs, last_syncs

# What was told otherwise reaches channels within this time; later it is no news, also to a channel that is new.
_TOLD_LATELY = timedelta(days=1)
# The runs that did not end well since a moment, but for those that are told of already.
FailedRuns = Callable[[datetime, Collection[str]], Sequence[Failure]]


@dataclass(frozen=True)
class Watched:
    """What a look found: what changed, the health checks that fail because of another trouble, and runs that Dagster
    takes for alive although their process is gone.
    """

    changes: Changes
    consequences: Sequence[str]
    dead_runs: Sequence[str]


def watch(
    connection: Connection,
    environ: Mapping[str, str],
    failed_runs: FailedRuns,
    findings: Sequence[Finding],
    last_words: Mapping[str, datetime],
    *,
    now: datetime,
) -> Watched:
    """Look for trouble and tell of what is new. A second look at the same moment changes nothing.

    `last_words` are those of the runs that load and are not over.
    """
    since = now - WATCHED
    close_dead(connection, sorted({entity for its in ENTITIES.values() for entity in its}), now=now)
    syncs = failed_syncs(connection, since=since)
    runs = failed_runs(since, {it.run_id for it in syncs if it.code != DIED})
    told = {it.run_id for it in syncs}
    for run in runs:
        if run.run_id not in told:
            record_failed_run(connection, run, now=now)
    failures, incidents = together(syncs, runs), known_incidents(connection, over_since=now - AFTERMATH)
    explained = explain(findings, failures, incidents)
    decided = changes([*failures, *explained.failures], [it for it in incidents if it.over is None], now=now)
    audience = _audience(connection, environ, now=now)
    for trouble in decided.begun:
        begin(connection, trouble, audience, now=now)
    for incident in decided.going_on:
        go_on(connection, incident)
    for lapsed, ended in ((False, decided.over), (True, decided.lapsed)):
        for incident in ended:
            end(connection, incident, audience, lapsed=lapsed, now=now)
    for notice in not_put_out(connection, since=now - _TOLD_LATELY):
        put_out(connection, notice, audience.channels, now=now)
    for cause, checks in explained.consequences.items():
        note_consequences(connection, cause, checks)
    following = sorted(check for checks in explained.consequences.values() for check in checks)
    dead = {
        *dead_runs(connection, since=since, now=now),
        *presumed_dead(last_words, last_syncs(connection, silent(last_words, now=now)), now=now),
    }
    return Watched(decided, following, sorted(dead))


def _audience(connection: Connection, environ: Mapping[str, str], *, now: datetime) -> Audience:
    """Every administrator; where none is named, the system, whose notices `b2chat notifications` shows too."""
    emails = read_admin_emails(environ, stored_settings(connection))
    ensure_users(connection, emails, now=now)
    users = [user_id(connection, email) for email in emails] or [SYSTEM_USER]
    return Audience(users, [channel_name(url) for url in read_notify_urls(environ)], _zone(environ))


def _zone(environ: Mapping[str, str]) -> ZoneInfo:
    try:
        return read_account(environ).zone
    except SettingsError:
        return ZoneInfo("UTC")  # where settings are what is wrong, that is told all the same
