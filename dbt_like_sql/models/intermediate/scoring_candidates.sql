-- A row per closed chat: whether a model may judge it, or the first reason why not. The one place that says so: scoring
-- reads it, and so do the marts. A chat closed less than 24 hours ago is left alone for a while; that depends on when
-- one asks, and is not said here.
-- The clock of the response is that of chat_metrics where a promise was made; a chat that the company began is measured
-- by what would have been promised.
{{ config(materialized='view') }}

select chat.id as chat_id, chat.closed_at, promise.target_seconds, clock.elapsed_seconds,
       coalesce(metric.answered_turns, 0) as answered_turns,
       case
           when said.messages = 0 then 'no messages told'
           when not said.by_customer then 'no message from the customer'
           when chat.response_at is null then 'never answered by an agent'
           when not said.by_company then 'only broadcasts from the company'
           when coalesce(said.words, 0) < 10 then 'fewer than ten words'
           -- About 50,000 tokens: beyond that no conversation is one any more.
           when said.characters > 200000 then 'too long'
           when metric.chat_id is null then 'metrics not built: run `b2chat build`'
           when promise.target_seconds is null then 'no target for the first response'
           when clock.elapsed_seconds is null then 'time of the first response not known'
       end as reason
  from {{ source('b2chat', 'chats') }} as chat
 cross join lateral (
    select count(*) as messages,
           bool_or(message.incoming) as by_customer,
           bool_or(not message.incoming and message.broadcasted is not true) as by_company,
           sum(cardinality(regexp_split_to_array(btrim(written.text), '\s+')))
               filter (where written.text <> '' and message.broadcasted is not true) as words,
           sum(length(written.text)) as characters
      from {{ source('b2chat', 'messages') }} as message
     cross join lateral (
        select btrim(
            coalesce(case when message.type = 'text' then message.text else message.caption end, ''), E' \t\r\n'
        ) as text
     ) as written
     where message.chat_id = chat.id and message.superseded_at is null
 ) as said
  left join {{ ref('chat_metrics') }} as metric
    on metric.chat_id = chat.id
  left join lateral (
    select policy.target_seconds, policy.in_business_hours
      from {{ source('ops', 'sla_policies') }} as policy
     where policy.clock = 'first_response'
       and tstzrange(policy.valid_from, policy.valid_to) @> chat.created_at
       and (policy.priority is null or policy.priority = chat.priority::text)
       and (policy.channel is null or policy.channel = chat.provider::text)
     order by policy.priority is null, policy.channel is null
     limit 1
  ) as fitting on true
 cross join lateral (
    select coalesce(metric.sla_first_response_target_seconds, fitting.target_seconds)::double precision
               as target_seconds,
           coalesce(metric.sla_first_response_business, fitting.in_business_hours) as in_business_hours
  ) as promise
 cross join lateral (
    select case
               when promise.in_business_hours then metric.first_response_business_seconds
               else metric.first_response_seconds
           end as elapsed_seconds
 ) as clock
 where chat.closed_at is not null
   and chat.status in ('closed', 'unknown')
   and not chat.is_deleted
