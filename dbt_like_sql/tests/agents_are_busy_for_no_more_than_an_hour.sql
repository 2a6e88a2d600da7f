-- A mean is at most the maximum, and an hour has 3,600 seconds.
select agent_id, hour_start, mean_chats, max_chats, active_seconds
  from {{ ref('agent_concurrency_hourly') }}
 where mean_chats > max_chats + 0.000001
    or mean_chats_with_messages > mean_chats + 0.000001
    or active_seconds not between 0 and 3600
