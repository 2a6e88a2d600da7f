-- No two rows of agent_concurrency_hourly share agent and hour.
select agent_id, hour_start
  from {{ ref('agent_concurrency_hourly') }}
 group by agent_id, hour_start
having count(*) > 1
