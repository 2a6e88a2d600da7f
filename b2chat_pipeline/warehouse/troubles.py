"""Which syncs did not end well, as the books tell, and whether that is made up for.

Not here: what they have in common (`policy/troubles.py`), Dagster's runs (`automation/failed_runs.py`).
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from psycopg import Connection

from b2chat_pipeline.policy.troubles import DIED, OF_ALL_HOURS, Failure

# A sync is made up for by one of its kind that ended well, or, where the cause may lie in the hours themselves, by
# loads of every one of them from pages that were read since it began. Nothing is wrong with hours that schedules and
# sensors asked for and that were only cut off: those that were loaded before need no more than that reading goes on,
# since they are read again when it is their turn. What kept a full read of contacts from their source is over when an
# hour of contacts is read.
_FAILED = """
    with syncs as (
        select id, entity_type, operation, status, started_at, completed_at, error_message, metadata as about,
               case when operation = 'full' then 'all ' || entity_type
                    when metadata ? 'quarantined' then 'records put aside'
                    else entity_type
               end as subject
          from sync_logs
         where id = metadata ->> 'sync_id' and completed_at >= %(since)s
    ), failed as (
        select syncs.*, code, code is null and operation <> 'manual' as only_cut_off
          from syncs
          left join lateral (
               select error_code from error_logs where request_id = syncs.id order by timestamp limit 1
          ) as first_error (code) on true
         where status in ('error', 'partial')
    )
    select subject, code, coalesce(error_message, 'The day''s requests, or a pause that B2Chat asked for, cut it off.'),
           completed_at, coalesce(about ->> 'run_id', ''), id,
           case
               when about ? 'hours' and not coalesce(code = any(%(of_all_hours)s), false)
               then (not only_cut_off or later.ended_well)
                    and not exists (
                    select
                      from generate_series(
                           (about ->> 'from')::timestamptz,
                           least((about ->> 'to')::timestamptz, started_at) - interval '1 hour',
                           interval '1 hour') as hour
                     where not exists (
                           select from ops.hour_loads loads
                            where loads.endpoint = about ->> 'endpoint' and loads.hour_start = hour
                              and (loads.read_at >= started_at or only_cut_off))
                       and not (about ->> 'load' = 'false' and exists (
                           select from ops.window_reads reads
                            where reads.endpoint = about ->> 'endpoint' and reads.hour_start = hour
                              and (reads.read_at >= started_at or only_cut_off))))
               else later.ended_well
           end
      from failed
     cross join lateral (
           select exists (
                  select from syncs
                   where syncs.status = 'success'
                     and (syncs.subject = failed.subject
                          or code = any(%(of_all_hours)s) and syncs.entity_type = failed.entity_type)
                     and syncs.completed_at > failed.completed_at
                     and coalesce(syncs.about ->> 'read', 'true') = 'true')
     ) as later (ended_well)
     order by completed_at
"""
_DEAD_RUNS = """
    select distinct metadata ->> 'run_id' from sync_logs
     where id = metadata ->> 'sync_id' and completed_at >= %(since)s and completed_at <= %(until)s
       and metadata ->> 'run_id' <> ''
       and exists (select from error_logs where request_id = sync_logs.id and error_code = %(died)s)
"""
_LAST_SYNCS = """
    select metadata ->> 'run_id', case when bool_and(completed_at is not null) then max(completed_at) end
      from sync_logs
     where metadata ->> 'run_id' = any(%s)
     group by 1
"""
# A process whose connection was cut closes its run by itself within this time.
_LAST_WORDS = timedelta(minutes=1)


def failed_syncs(connection: Connection, *, since: datetime) -> list[Failure]:
    """The syncs that did not end well since then, in order. Where there was no error, they were only cut off."""
    values = {"since": since, "of_all_hours": sorted(OF_ALL_HOURS)}
    return [Failure(*row) for row in connection.execute(_FAILED, values)]


def dead_runs(connection: Connection, *, since: datetime, now: datetime) -> list[str]:
    """The runs whose sync died since then, as far as they have had the time to say something themselves."""
    values = {"since": since, "until": now - _LAST_WORDS, "died": DIED}
    return [run_id for (run_id,) in connection.execute(_DEAD_RUNS, values)]


def last_syncs(connection: Connection, run_ids: Collection[str]) -> dict[str, datetime | None]:
    """When the last sync of each run was closed, None where one is open; runs without any are left out."""
    return dict(connection.execute(_LAST_SYNCS, [list(run_ids)]).fetchall()) if run_ids else {}
