-- A row per creation day, dimension, value, duration and form. Population: chats created that day, of those that the
-- duration is asked of (chat_durations); turns of chats created that day for next_reply and next_agent_reply.
-- A day depends on the chats created that day; department_tree also on the tree, so build all days after it changed.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}, {'columns': ['dimension', 'value', 'created_day']}]) }}

with durations as (
    select chat_id, is_closed, created_day, metric, form, seconds
      from {{ ref('chat_durations') }}
    {% if is_incremental() %}
 where created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
),

dimensions as (
    select chat_id, dimension, value
      from {{ ref('chat_dimensions') }}
    {% if is_incremental() %}
 where created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
),

measured as (
    select duration.created_day, place.dimension, place.value, duration.metric, duration.form,
           count(*) as population,
           count(duration.seconds) as n,
           count(*) filter (where duration.seconds is null and duration.is_closed) as n_null,
           count(*) filter (where duration.seconds is null and not duration.is_closed) as n_open,
           avg(duration.seconds) as mean_seconds,
           percentile_cont(array[0.5, 0.9, 0.95]) within group (order by duration.seconds) as percentiles,
           max(duration.seconds) as max_seconds
      from durations as duration
      join dimensions as place on place.chat_id = duration.chat_id
     group by duration.created_day, place.dimension, place.value, duration.metric, duration.form
)

select created_day, dimension, value, metric, form, population, n, n_null, n_open, mean_seconds,
       percentiles[1] as median_seconds, percentiles[2] as p90_seconds, percentiles[3] as p95_seconds, max_seconds
  from measured
