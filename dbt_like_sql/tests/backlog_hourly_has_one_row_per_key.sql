-- No two rows of backlog_hourly share hour, department and channel.
select hour_start, department_id, provider
  from {{ ref('backlog_hourly') }}
 group by hour_start, department_id, provider
having count(*) > 1
