-- A row per open WhatsApp chat whose last word is the customer's, as of the query, as last read: until when the agent
-- may answer freely. After 24 hours WhatsApp takes templates only.
{{ config(materialized='view') }}

select now() as as_of, chat_id, b2chat_id, created_day, department_id, agent_id, alias, priority,
       whatsapp_window_closes_at as closes_at,
       extract(epoch from whatsapp_window_closes_at - now())::double precision / 60 as minutes_left,
       whatsapp_window_closes_at <= now() as is_lapsed
  from {{ ref('chat_metrics') }}
 where not is_closed
   and last_message_incoming
   and whatsapp_window_closes_at is not null
