-- A row per creation day, clock, policy version and dimensions, as of the query. Population: inbound chats created that
-- day. attainment = met / (met + breached + open past the target); open within the target is counted apart.
{{ config(materialized='view') }}

with counts as (
    select created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority,
           met, breached, running, not_judged, 0 as open_past_target
      from {{ ref('sla_daily') }}
     union all
    select created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority,
           0 as met, 0 as breached, 0 as running, 0 as not_judged, 1 as open_past_target
      from {{ ref('sla_at_risk') }}
     where is_breached
)

select now() as as_of, created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority,
       sum(met)::bigint as met,
       sum(breached)::bigint as breached,
       sum(open_past_target)::bigint as open_past_target,
       (sum(running) - sum(open_past_target))::bigint as open_within_target,
       sum(not_judged)::bigint as not_judged,
       sum(met)::double precision / nullif(sum(met) + sum(breached) + sum(open_past_target), 0) as attainment
  from counts
 group by created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority
