-- A row per contact with a chat: how often the contact wrote or was written to up to the newest loaded hour.
-- Population: all chats of known contacts, whoever began them. Depends on all days, hence a plain table.
{{ config(materialized='table') }}

select chat.contact_id, loads.loaded_until,
       count(*) as chats,
       count(*) filter (where chat.created_at >= loads.loaded_until - interval '168 hours') as chats_7_days,
       count(*) filter (where chat.created_at >= loads.loaded_until - interval '720 hours') as chats_30_days,
       count(*) filter (where chat.created_at >= loads.loaded_until - interval '2160 hours') as chats_90_days,
       min(chat.created_at) as first_chat_at,
       max(chat.created_at) as last_chat_at
  from {{ ref('chat_metrics') }} as chat
 cross join {{ ref('loaded_until') }} as loads
 where chat.contact_id is not null
 group by chat.contact_id, loads.loaded_until
