-- A row per creation day, hour, event and dimensions: how many chats were created or closed in that hour.
-- A day depends on the chats created that day; their closings lie in later hours, which the views add up.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}, {'columns': ['hour_start']}]) }}

select chat.created_day, date_trunc('hour', event.happened_at, '{{ var("time_zone") }}') as hour_start, event.event,
       chat.direction, chat.department_id, chat.agent_id, chat.provider, chat.alias, chat.priority, count(*) as chats
  from {{ ref('chat_metrics') }} as chat
 cross join lateral (
    values ('created', chat.created_at), ('closed', case when chat.is_closed then chat.closed_at end)
 ) as event (event, happened_at)
 where event.happened_at is not null
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
 group by chat.created_day, hour_start, event.event,
          chat.direction, chat.department_id, chat.agent_id, chat.provider, chat.alias, chat.priority
