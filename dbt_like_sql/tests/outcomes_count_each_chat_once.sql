-- A day's outcomes are of as many chats as were created that day, and no count exceeds the chats it is of.
{{ config(meta={'by_day': true}) }}
with days as (
    select created_day, sum(chats) as chats
      from {{ ref('outcomes_daily') }}
     where closed <= chats
       and abandoned_in_queue <= abandoned_in_queue_known
       and abandoned_by_customer <= abandoned_by_customer_known
       and missed <= missed_known
       and one_touch <= one_touch_known
       and unanswered_turns <= turns
     group by created_day
),

chats as (
    select created_day, count(*) as chats
      from {{ ref('chat_metrics') }}
     group by created_day
)

select chats.created_day, chats.chats, days.chats as counted
  from chats
  left join days on days.created_day = chats.created_day
 where days.chats is distinct from chats.chats
