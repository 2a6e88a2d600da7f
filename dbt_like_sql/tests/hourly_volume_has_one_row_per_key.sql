-- No two rows of hourly_volume share hour and dimensions.
select hour_start, direction, department_id, agent_id, provider, alias, priority
  from {{ ref('hourly_volume') }}
 group by hour_start, direction, department_id, agent_id, provider, alias, priority
having count(*) > 1
