-- A row per entity and hour that was ever loaded; of chats and contacts also the hours between that never were.
-- expected: records the newest load of the hour received for it, each once; loaded: those that the tables hold since, as
-- told or newer; the rest is in quarantine. late: rows that came after the hour's first load. Hours of contacts are those
-- of their last update, and of the chats that told of them.
{{ config(materialized='view') }}

with loads as (
    select entity, hour_start, loaded_at, inserted, quarantined,
           received - repeated - outside as expected,
           inserted + updated + unchanged + older as loaded,
           min(loaded_at) over (partition by entity, hour_start) as first_loaded_at,
           row_number() over (partition by entity, hour_start order by loaded_at desc, sync_id desc) as age
      from {{ source('ops', 'ledger') }}
     -- Told beside the hours asked for, an hour is not loaded.
     where received > outside
),

told as (
    select entity, hour_start, count(*) as loads, min(loaded_at) as first_loaded_at, max(loaded_at) as last_loaded_at,
           sum(expected) filter (where age = 1)::bigint as expected,
           sum(loaded) filter (where age = 1)::bigint as loaded,
           sum(quarantined) filter (where age = 1)::bigint as quarantined,
           coalesce(sum(inserted) filter (where loaded_at > first_loaded_at), 0)::bigint as late,
           coalesce(sum(inserted) filter (
               where loaded_at > first_loaded_at and loaded_at > hour_start + interval '25 hours'
           ), 0)::bigint as late_by_over_a_day
      from loads
     group by entity, hour_start
),

reads as (
    select case endpoint when '/chats/export' then 'chats' else 'contacts' end as entity, hour_start
      from {{ source('ops', 'window_reads') }}
     where applied_read_at is not null
),

hours as (
    select entity, hour_start
      from told
     union
    select span.entity, hour.hour_start
      from (select entity, min(hour_start) as first, max(hour_start) as last from reads group by entity) as span
     cross join lateral generate_series(span.first, span.last, interval '1 hour') as hour (hour_start)
),

marked as (
    select hour.entity, hour.hour_start,
           told.entity is not null or read.entity is not null as is_loaded,
           told.loads, told.first_loaded_at, told.last_loaded_at, told.expected, told.loaded, told.quarantined,
           told.late, told.late_by_over_a_day
      from hours as hour
      left join told on told.entity = hour.entity and told.hour_start = hour.hour_start
      left join reads as read on read.entity = hour.entity and read.hour_start = hour.hour_start
)

select entity, hour_start, is_loaded, coalesce(loads, 0) as loads_with_records, first_loaded_at, last_loaded_at,
       case when is_loaded then coalesce(expected, 0) end as expected,
       case when is_loaded then coalesce(loaded, 0) end as loaded,
       case when is_loaded then coalesce(quarantined, 0) end as quarantined,
       loaded::double precision / nullif(expected, 0) as completeness,
       case when is_loaded then coalesce(late, 0) end as late,
       case when is_loaded then coalesce(late_by_over_a_day, 0) end as late_by_over_a_day
  from marked
