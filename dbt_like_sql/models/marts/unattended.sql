-- A row per open chat whose last word is the customer's, as of the query, as last read.
-- Only chats whose messages are told: of the others nobody can say.
{{ config(materialized='view') }}

select as_of, chat_id, b2chat_id, created_day, department_id, agent_id, provider, alias, priority, is_unassigned,
       last_message_at, extract(epoch from as_of - last_message_at)::double precision as waiting_seconds
  from {{ ref('open_chats') }}
 where is_unattended
