-- A row per creation day and dimensions. Population: inbound chats created that day. n is those whose calendar is known;
-- outside_hours_share = outside_hours / n. Waiting is from the creation to the next opening, of those outside hours.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with arrivals as (
    select created_day, department_id, provider,
           count(*) as chats,
           count(created_outside_hours) as n,
           count(*) - count(created_outside_hours) as n_null,
           count(*) filter (where created_outside_hours) as outside_hours,
           (count(*) filter (where created_outside_hours))::double precision / nullif(count(created_outside_hours), 0)
               as outside_hours_share,
           avg(wait_until_opening_seconds) filter (where created_outside_hours) as mean_wait_until_opening_seconds,
           percentile_cont(array[0.5, 0.9]) within group (order by wait_until_opening_seconds)
               filter (where created_outside_hours) as percentiles
      from {{ ref('chat_metrics') }}
     where direction = 'inbound'
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
     group by created_day, department_id, provider
)

select created_day, department_id, provider, chats, n, n_null, outside_hours, outside_hours_share,
       mean_wait_until_opening_seconds,
       percentiles[1] as median_wait_until_opening_seconds, percentiles[2] as p90_wait_until_opening_seconds
  from arrivals
