-- A row per inbound chat and clock under a policy, as stamped when the chat was measured. is_met is NULL while the
-- clock runs, and where nothing can be said: closed within the target without the clock's end, or times not known.
{{ config(materialized='view') }}

select chat.chat_id, chat.created_day, chat.department_id, chat.agent_id, chat.provider, chat.alias, chat.priority,
       chat.is_closed, chat.calendar, clock.clock, clock.policy, clock.policy_version, clock.started_at, clock.ended_at,
       clock.target_seconds, clock.in_business_time, clock.elapsed_seconds, clock.is_met
  from {{ ref('chat_metrics') }} as chat
 -- A chat that was opened again may still tell when it was closed.
 cross join lateral (select case when chat.is_closed then chat.closed_at end as closed_at) as finish
 cross join lateral (
    values
        ('pickup', chat.sla_pickup_policy, chat.sla_pickup_version, chat.opened_at,
         coalesce(chat.picked_up_at, finish.closed_at), chat.sla_pickup_target_seconds, chat.sla_pickup_business,
         chat.sla_pickup_elapsed_seconds, chat.sla_pickup_met),
        ('first_response', chat.sla_first_response_policy, chat.sla_first_response_version, chat.created_at,
         coalesce(chat.response_at, finish.closed_at), chat.sla_first_response_target_seconds,
         chat.sla_first_response_business, chat.sla_first_response_elapsed_seconds, chat.sla_first_response_met),
        ('resolution', chat.sla_resolution_policy, chat.sla_resolution_version, chat.created_at, finish.closed_at,
         chat.sla_resolution_target_seconds, chat.sla_resolution_business, chat.sla_resolution_elapsed_seconds,
         chat.sla_resolution_met)
 ) as clock (
    clock, policy, policy_version, started_at, ended_at, target_seconds, in_business_time, elapsed_seconds, is_met
 )
 where clock.policy is not null
