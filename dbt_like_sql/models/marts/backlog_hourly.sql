-- A row per account-local hour, department and provider with open chats at the hour's end, up to the newest loaded hour.
-- Population: chats created by then and not closed by then, as known now. A reopened chat counts as open throughout.
-- An hour depends on all chats created before its end, hence a plain table.
{{ config(materialized='table') }}

with ages as (
    select life.department_id, life.provider, age.age,
           life.began_at + age.lower as began_at,
           least(life.began_at + age.upper, life.ended_at) as ended_at
      from {{ ref('chat_lives') }} as life
     cross join (
        values
            ('under_1_h', interval '0', interval '1 hour'),
            ('from_1_to_4_h', interval '1 hour', interval '4 hours'),
            ('from_4_to_24_h', interval '4 hours', interval '24 hours'),
            ('from_1_to_3_days', interval '24 hours', interval '72 hours'),
            ('from_3_to_7_days', interval '72 hours', interval '168 hours'),
            ('over_7_days', interval '168 hours', interval '1000000 hours')
     ) as age (age, lower, upper)
     where life.began_at + age.lower < life.ended_at
),

-- A chat is in the backlog from the first hour's end at or after its beginning to the last one before its end.
moves as (
    select department_id, provider, age, began_at as moved_at, 1 as change
      from ages
     union all
    select department_id, provider, age, ended_at as moved_at, -1 as change
      from ages
),

changes as (
    select department_id, provider,
           date_trunc('hour', moved_at - interval '1 microsecond', '{{ var("time_zone") }}') as hour_start,
           sum(change) as open_chats,
           coalesce(sum(change) filter (where age = 'under_1_h'), 0) as under_1_h,
           coalesce(sum(change) filter (where age = 'from_1_to_4_h'), 0) as from_1_to_4_h,
           coalesce(sum(change) filter (where age = 'from_4_to_24_h'), 0) as from_4_to_24_h,
           coalesce(sum(change) filter (where age = 'from_1_to_3_days'), 0) as from_1_to_3_days,
           coalesce(sum(change) filter (where age = 'from_3_to_7_days'), 0) as from_3_to_7_days,
           coalesce(sum(change) filter (where age = 'over_7_days'), 0) as over_7_days
      from moves
     where moved_at <= (select loaded_until from {{ ref('loaded_until') }})
     group by department_id, provider, hour_start
),

-- Each state lasts until the next change; its hours follow from that.
states as (
    select department_id, provider, hour_start,
           lead(hour_start) over place as next_hour_start,
           sum(open_chats) over place as open_chats,
           sum(under_1_h) over place as under_1_h,
           sum(from_1_to_4_h) over place as from_1_to_4_h,
           sum(from_4_to_24_h) over place as from_4_to_24_h,
           sum(from_1_to_3_days) over place as from_1_to_3_days,
           sum(from_3_to_7_days) over place as from_3_to_7_days,
           sum(over_7_days) over place as over_7_days
      from changes
    window place as (partition by department_id, provider order by hour_start)
)

select hour.hour_start, (hour.hour_start at time zone '{{ var("time_zone") }}')::date as day, state.department_id, state.provider,
       state.open_chats::bigint as open_chats,
       state.under_1_h::bigint as under_1_h,
       state.from_1_to_4_h::bigint as from_1_to_4_h,
       state.from_4_to_24_h::bigint as from_4_to_24_h,
       state.from_1_to_3_days::bigint as from_1_to_3_days,
       state.from_3_to_7_days::bigint as from_3_to_7_days,
       state.over_7_days::bigint as over_7_days
  from states as state
 cross join {{ ref('loaded_until') }} as loads
 cross join lateral generate_series(
    state.hour_start,
    coalesce(state.next_hour_start, loads.loaded_until) - interval '1 hour',
    interval '1 hour'
 ) as hour (hour_start)
 where state.open_chats > 0
