-- A row per running clock of an open inbound chat that has used at least 80 % of its target, as of the query.
{{ config(materialized='view') }}

with running as (
    select now() as as_of, chat_id, clock, created_day, policy, policy_version, department_id, agent_id, provider,
           alias, priority, target_seconds, in_business_time, started_at,
           case
               when in_business_time then ops.business_seconds(calendar, started_at, now())::double precision
               else extract(epoch from now() - started_at)::double precision
           end as elapsed_seconds
      from {{ ref('sla_clocks') }}
     where is_met is null
       and not is_closed
)

select as_of, chat_id, clock, created_day, policy, policy_version, department_id, agent_id, provider, alias, priority,
       in_business_time, target_seconds, elapsed_seconds, target_seconds - elapsed_seconds as seconds_left,
       elapsed_seconds > target_seconds as is_breached
  from running
 where elapsed_seconds >= 0.8 * target_seconds
