-- No two rows of daily_volume share day and dimensions.
select day, direction, department_id, agent_id, provider, alias, priority
  from {{ ref('daily_volume') }}
 group by day, direction, department_id, agent_id, provider, alias, priority
having count(*) > 1
