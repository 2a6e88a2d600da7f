-- A row per closed chat of a known contact and period (24, 72 and 168 hours after the closing): did the contact begin
-- another chat within it, on any channel or on the same one? Population: closed-in-period; only inbound chats count as
-- coming back. NULL: nobody has come back, and the period is not over by the newest loaded hour.
-- A day depends on the seven days after it, hence a plain table.
{{ config(materialized='table') }}

with returns as (
    select chat.chat_id, chat.closed_day, chat.closed_at, chat.contact_id, chat.department_id, chat.agent_id,
           chat.provider, chat.alias, chat.priority, chat.reopens,
           min(later.created_at) as any_channel_at,
           min(later.created_at) filter (where later.provider = chat.provider) as same_channel_at
      from {{ ref('chat_metrics') }} as chat
      left join {{ ref('chat_metrics') }} as later
        on later.contact_id = chat.contact_id
       and later.direction = 'inbound'
       and later.created_at > chat.closed_at
       and later.created_at <= chat.closed_at + interval '168 hours'
     where chat.closed_day is not null
       and chat.contact_id is not null
     group by chat.chat_id, chat.closed_day, chat.closed_at, chat.contact_id, chat.department_id, chat.agent_id,
              chat.provider, chat.alias, chat.priority, chat.reopens
)

select chat.chat_id, period.hours as period_hours, chat.closed_day, chat.contact_id, chat.department_id,
       chat.agent_id, chat.provider, chat.alias, chat.priority, chat.reopens,
       case
           when chat.any_channel_at <= chat.closed_at + make_interval(hours => period.hours) then true
           when chat.closed_at + make_interval(hours => period.hours) <= loads.loaded_until then false
       end as repeated_any_channel,
       case
           when chat.same_channel_at <= chat.closed_at + make_interval(hours => period.hours) then true
           when chat.closed_at + make_interval(hours => period.hours) <= loads.loaded_until then false
       end as repeated_same_channel
  from returns as chat
 cross join {{ ref('loaded_until') }} as loads
 cross join (values (24), (72), (168)) as period (hours)
