-- The chats. Left out: topic and note of the resolution and the reason of a deletion,
-- since people write them.
{{ config(materialized='view') }}

select id as chat_id,
       b2chat_id,
       agent_id,
       contact_id,
       department_id,
       provider::text as provider,
       raw_provider,
       status::text as status,
       raw_status,
       is_agent_available,
       alias,
       tags,
       priority::text as priority,
       unread_count,
       created_at,
       opened_at,
       picked_up_at,
       response_at,
       closed_at,
       duration,
       is_deleted,
       deleted_at,
       last_modified_at,
       messages_told
  from {{ source('b2chat', 'chats') }}
