-- Each inbound chat is in one bucket of each view of the first response.
{{ config(meta={'by_day': true}) }}
with buckets as (
    select created_day, measured_from, sum(chats) as chats
      from {{ ref('response_histogram') }}
     group by created_day, measured_from
),

inbound as (
    select created_day, count(*) as chats
      from {{ ref('chat_metrics') }}
     where direction = 'inbound'
     group by created_day
)

select buckets.created_day, buckets.measured_from, buckets.chats, inbound.chats as inbound_chats
  from buckets
  left join inbound on inbound.created_day = buckets.created_day
 where buckets.chats is distinct from inbound.chats
