-- A row per chat that was open for a while: from its creation to its last closing, for an open one to infinity.
-- Not here: closed chats without a time of closing, or with one before their creation; when they were open is not known.
{{ config(materialized='view') }}

select chat_id, created_day, department_id, agent_id, provider, created_at as began_at,
       case when is_closed then closed_at else 'infinity' end as ended_at
  from {{ ref('chat_metrics') }}
 where not is_closed
    or closed_at > created_at
