-- No two rows of sla_daily share creation day, clock, policy version and dimensions.
{{ config(meta={'by_day': true}) }}
select created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority
  from {{ ref('sla_daily') }}
 group by created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority
having count(*) > 1
