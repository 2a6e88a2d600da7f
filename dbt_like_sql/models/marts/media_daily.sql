-- A row per creation day of the chat, department, channel and direction of the message. Population: messages of chats
-- created that day, as far as messages are told and not superseded. media_share = (images + files) / messages.
-- A day depends on the chats created that day and their messages only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with chats as (
    select chat_id, created_day, department_id, provider
      from {{ ref('chat_metrics') }}
     where has_messages
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
)

select chat.created_day, chat.department_id, chat.provider, message.incoming,
       count(*) as messages,
       count(*) filter (where message.type = 'image') as images,
       count(*) filter (where message.type = 'file') as files,
       count(*) filter (where message.type <> 'text' and not message.media_backed_up) as media_not_backed_up,
       (count(*) filter (where message.type <> 'text'))::double precision / count(*) as media_share
  from chats as chat
  join {{ source('b2chat', 'messages') }} as message on message.chat_id = chat.chat_id
 where message.superseded_at is null
 group by chat.created_day, chat.department_id, chat.provider, message.incoming
