-- A row per creation day of the chat and department. Population: customer turns in WhatsApp chats created that day.
-- The window is WhatsApp's: 24 hours after the customer's last message. answered_in_window_share =
-- answered_in_window / (answered_in_window + answered_late + lapsed_unanswered); turns that wait still are n_open.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with turns as (
    select created_day, department_id,
           count(*) as turns,
           count(*) filter (where reply_at is not null and not is_window_lapsed) as answered_in_window,
           count(*) filter (where reply_at is not null and is_window_lapsed) as answered_late,
           count(*) filter (where reply_at is null and is_window_lapsed) as lapsed_unanswered,
           count(*) filter (where reply_at is null and not is_window_lapsed) as closed_unanswered_in_window,
           count(*) filter (where is_window_lapsed is null) as n_open,
           percentile_cont(array[0.1, 0.5]) within group (order by window_left_seconds) as percentiles
      from {{ ref('message_turns') }}
     where provider = 'whatsapp'
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
     group by created_day, department_id
)

select created_day, department_id, turns, answered_in_window, answered_late, lapsed_unanswered,
       closed_unanswered_in_window, n_open,
       answered_in_window::double precision / nullif(answered_in_window + answered_late + lapsed_unanswered, 0)
           as answered_in_window_share,
       percentiles[2] as median_window_left_seconds, percentiles[1] as p10_window_left_seconds
  from turns
