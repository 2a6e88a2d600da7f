-- A row per creation day, clock of the first response, bucket and dimensions. Population: inbound chats created that
-- day; over all buckets they add up to those. A bucket holds its upper bound: 60 s is "up to 1 min".
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with responses as (
    select chat.created_day, view.measured_from, chat.department_id, chat.agent_id, chat.provider, chat.alias,
           chat.priority, chat.is_closed, chat.response_at, view.seconds
      from {{ ref('chat_metrics') }} as chat
     cross join lateral (
        values ('created_at', chat.first_response_seconds), ('opened_at', chat.first_response_from_opening_seconds)
     ) as view (measured_from, seconds)
     where chat.direction = 'inbound'
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
),

bucketed as (
    select created_day, measured_from, department_id, agent_id, provider, alias, priority,
           case
               when seconds <= 60 then 1
               when seconds <= 300 then 2
               when seconds <= 900 then 3
               when seconds <= 1800 then 4
               when seconds <= 3600 then 5
               when seconds <= 14400 then 6
               when seconds <= 28800 then 7
               when seconds <= 86400 then 8
               when seconds > 86400 then 9
               when response_at is not null then 10
               when is_closed then 11
               else 12
           end as bucket_order
      from responses
)

select created_day, measured_from, bucket_order,
       (array['up to 1 min', '1 to 5 min', '5 to 15 min', '15 to 30 min', '30 to 60 min', '1 to 4 h', '4 to 8 h',
              '8 to 24 h', 'over 24 h', 'not measurable', 'closed unanswered', 'not answered yet'])[bucket_order]
           as bucket,
       department_id, agent_id, provider, alias, priority, count(*) as chats
  from bucketed
 group by created_day, measured_from, bucket_order, department_id, agent_id, provider, alias, priority
