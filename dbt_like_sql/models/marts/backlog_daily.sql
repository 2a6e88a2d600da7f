-- A row per account-local day, dimension and value with open chats at the day's end, up to the last day loaded whole.
-- Population and limits as in backlog_hourly; here with the exact distribution of ages, which cannot be added up.
-- A day depends on all chats created before its end, hence a plain table.
{{ config(materialized='table') }}

with open_days as (
    select life.department_id, life.provider, (day.day)::date as day,
           ((day.day)::date + 1)::timestamp at time zone '{{ var("time_zone") }}' as day_end, life.began_at, life.ended_at
      from {{ ref('chat_lives') }} as life
      join {{ ref('loaded_until') }} as loads on loads.loaded_until is not null
     cross join lateral generate_series(
        ((life.began_at - interval '1 microsecond') at time zone '{{ var("time_zone") }}')::date::timestamp,
        (least(life.ended_at, loads.loaded_until) at time zone '{{ var("time_zone") }}')::date::timestamp,
        interval '1 day'
     ) as day (day)
     where ((day.day)::date + 1)::timestamp at time zone '{{ var("time_zone") }}' <= loads.loaded_until
),

ages as (
    select day, place.dimension, place.value, extract(epoch from day_end - began_at)::double precision as age_seconds
      from open_days
     cross join lateral (
        values ('account', null), ('department', department_id), ('channel', provider)
     ) as place (dimension, value)
     where ended_at > day_end
),

measured as (
    select day, dimension, value, count(*) as open_chats, avg(age_seconds) as mean_age_seconds,
           percentile_cont(array[0.5, 0.9, 0.95]) within group (order by age_seconds) as percentiles,
           max(age_seconds) as max_age_seconds
      from ages
     group by day, dimension, value
)

select day, dimension, value, open_chats, mean_age_seconds, percentiles[1] as median_age_seconds,
       percentiles[2] as p90_age_seconds, percentiles[3] as p95_age_seconds, max_age_seconds
  from measured
