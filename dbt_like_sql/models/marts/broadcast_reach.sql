-- A row per account-local day of sending, channel and line. Population: broadcast messages that chats tell of. The API
-- tells a broadcast only inside a chat, and no campaign: who never had a chat afterwards is not seen, so reply shares
-- are of what is seen and too high for the campaign. A reply is the contact's first message after it in that chat.
-- n_* are the sends whose period is over by the newest loaded hour, or that were answered within it.
-- A day depends on chats created later, hence a plain table.
{{ config(materialized='table') }}

with sends as (
    select message.timestamp as sent_at, chat.chat_id, chat.contact_id, chat.provider, chat.alias, loads.loaded_until,
           extract(epoch from reply.replied_at - message.timestamp)::double precision as reply_seconds
      from {{ source('b2chat', 'messages') }} as message
      join {{ ref('chat_metrics') }} as chat on chat.chat_id = message.chat_id
     cross join {{ ref('loaded_until') }} as loads
      left join lateral (
        select min(answer.timestamp) as replied_at
          from {{ source('b2chat', 'messages') }} as answer
         where answer.chat_id = message.chat_id
           and answer.incoming
           and answer.superseded_at is null
           and answer.timestamp > message.timestamp
      ) as reply on true
     where message.broadcasted
       and message.superseded_at is null
),

judged as (
    select (sent_at at time zone '{{ var("time_zone") }}')::date as sent_day, provider, alias, chat_id, contact_id, reply_seconds,
           case
               when reply_seconds <= 86400 then true
               when sent_at + interval '24 hours' <= loaded_until then false
           end as replied_in_24_h,
           case
               when reply_seconds <= 259200 then true
               when sent_at + interval '72 hours' <= loaded_until then false
           end as replied_in_72_h
      from sends
)

select sent_day, provider, alias,
       count(*) as sends,
       count(distinct contact_id) as contacts,
       count(distinct chat_id) as chats,
       count(replied_in_24_h) as n_24_h,
       count(*) filter (where replied_in_24_h) as replied_in_24_h,
       count(replied_in_72_h) as n_72_h,
       count(*) filter (where replied_in_72_h) as replied_in_72_h,
       (count(*) filter (where replied_in_24_h))::double precision / nullif(count(replied_in_24_h), 0)
           as replied_in_24_h_share,
       (count(*) filter (where replied_in_72_h))::double precision / nullif(count(replied_in_72_h), 0)
           as replied_in_72_h_share,
       count(reply_seconds) as n_reply,
       percentile_cont(0.5) within group (order by reply_seconds) as median_reply_seconds,
       percentile_cont(0.9) within group (order by reply_seconds) as p90_reply_seconds
  from judged
 group by sent_day, provider, alias
