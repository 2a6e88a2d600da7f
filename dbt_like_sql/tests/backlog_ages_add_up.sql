-- Each open chat has one age.
select hour_start, department_id, provider, open_chats
  from {{ ref('backlog_hourly') }}
 where open_chats <> under_1_h + from_1_to_4_h + from_4_to_24_h + from_1_to_3_days + from_3_to_7_days + over_7_days
    or least(under_1_h, from_1_to_4_h, from_4_to_24_h, from_1_to_3_days, from_3_to_7_days, over_7_days) < 0
