-- A row per agent and account-local hour, from the agent's first pick-up to the newest loaded hour: how many chats the
-- agent had in hand (picked up and not closed), and in how much of the hour somebody wrote in one of them.
-- Population: chats by their agent now; of a chat that was handed over, the earlier agents' part is not known.
-- An hour depends on all chats picked up before its end, hence a plain table.
{{ config(materialized='table') }}

with held as (
    select chat.agent_id, chat.picked_up_at as began_at,
           least(case when chat.is_closed then chat.closed_at end, loads.loaded_until) as ended_at,
           chat.has_messages, chat.active_spans, loads.loaded_until
      from {{ ref('chat_metrics') }} as chat
     cross join {{ ref('loaded_until') }} as loads
     where chat.agent_id is not null
       and chat.picked_up_at < loads.loaded_until
       and (not chat.is_closed or chat.closed_at > chat.picked_up_at)
),

hours as (
    select agent.agent_id, hour.hour_start
      from (
        select agent_id, min(began_at) as first_at, min(loaded_until) as loaded_until
          from held
         group by agent_id
      ) as agent
     cross join lateral generate_series(
        date_trunc('hour', agent.first_at, '{{ var("time_zone") }}'), agent.loaded_until, interval '1 hour'
     ) as hour (hour_start)
),

-- The ends of hours are changes by nothing, so that no stretch between two changes crosses one.
changes as (
    select agent_id, changed_at, sum(chats) as chats, sum(chats_with_messages) as chats_with_messages
      from (
        select agent_id, began_at as changed_at, 1 as chats, has_messages::integer as chats_with_messages
          from held
         union all
        select agent_id, ended_at as changed_at, -1 as chats, -has_messages::integer as chats_with_messages
          from held
         union all
        select agent_id, hour_start as changed_at, 0 as chats, 0 as chats_with_messages
          from hours
      ) as change
     group by agent_id, changed_at
),

stretches as (
    select agent_id, changed_at,
           extract(epoch from lead(changed_at) over agent - changed_at)::double precision as seconds,
           sum(chats) over agent as chats,
           sum(chats_with_messages) over agent as chats_with_messages
      from changes
    window agent as (partition by agent_id order by changed_at)
),

concurrency as (
    select agent_id, date_trunc('hour', changed_at, '{{ var("time_zone") }}') as hour_start,
           sum(chats * seconds) / 3600 as mean_chats,
           max(chats)::integer as max_chats,
           sum(chats_with_messages * seconds) / 3600 as mean_chats_with_messages
      from stretches
     where seconds is not null
     group by agent_id, hour_start
),

active as (
    select agent_id, unnest(range_agg(active_spans)) as span
      from held
     where has_messages
     group by agent_id
),

activity as (
    select active.agent_id, hour.hour_start,
           sum(extract(epoch from
               least(upper(active.span), hour.hour_start + interval '1 hour')
               - greatest(lower(active.span), hour.hour_start)
           ))::double precision as active_seconds
      from active
     cross join lateral generate_series(
        date_trunc('hour', lower(active.span), '{{ var("time_zone") }}'), upper(active.span), interval '1 hour'
     ) as hour (hour_start)
     where hour.hour_start < upper(active.span)
     group by active.agent_id, hour.hour_start
)

select concurrency.agent_id, concurrency.hour_start, concurrency.mean_chats, concurrency.max_chats,
       concurrency.mean_chats_with_messages,
       case
           when concurrency.max_chats = 0 then 0
           when concurrency.mean_chats_with_messages > 0 then coalesce(activity.active_seconds, 0)
       end as active_seconds,
       case
           when concurrency.max_chats = 0 then 0
           when concurrency.mean_chats_with_messages > 0 then coalesce(activity.active_seconds, 0) / 3600
       end as occupancy_proxy
  from concurrency
  left join activity on activity.agent_id = concurrency.agent_id and activity.hour_start = concurrency.hour_start
