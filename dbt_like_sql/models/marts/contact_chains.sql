-- A row per chain: chats of one contact of which each was created less than 72 hours after the one before ("an issue").
-- Population: all chats of known contacts, whoever began them. is_complete: by the newest loaded hour no chat can join.
-- Depends on all days, hence a plain table.
{{ config(materialized='table') }}

with steps as (
    select contact_id, chat_id, created_at, created_day,
           created_at < lag(created_at) over contact + interval '72 hours' as continues
      from {{ ref('chat_metrics') }}
     where contact_id is not null
    window contact as (partition by contact_id order by created_at, chat_id)
),

numbered as (
    select contact_id, chat_id, created_at, created_day,
           count(*) filter (where continues is not true) over (
               partition by contact_id order by created_at, chat_id
           ) as chain_number
      from steps
)

select chat.contact_id, chat.chain_number, min(chat.created_day) as first_day,
       min(chat.created_at) as first_chat_at, max(chat.created_at) as last_chat_at, count(*) as chats,
       max(chat.created_at) + interval '72 hours' <= max(loads.loaded_until) as is_complete
  from numbered as chat
 cross join {{ ref('loaded_until') }} as loads
 group by chat.contact_id, chat.chain_number
