-- The backlog at the end of a day's last hour, counted by moves, is that of the day, counted chat by chat.
with hours as (
    select day, hour_start, sum(open_chats) as open_chats
      from {{ ref('backlog_hourly') }}
     group by day, hour_start
),

ends as (
    select day.day, day.open_chats,
           (day.day + 1)::timestamp at time zone '{{ var("time_zone") }}' - interval '1 hour' as hour_start
      from {{ ref('backlog_daily') }} as day
     where day.dimension = 'account'
)

select ends.day, ends.open_chats, hours.open_chats as of_last_hour
  from ends
  left join hours on hours.hour_start = ends.hour_start
 where hours.open_chats is distinct from ends.open_chats
