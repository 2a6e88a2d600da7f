-- A row per account-local hour and dimensions in which a chat was created or closed.
-- Population: created counts the hour of creation, closed the hour of the last closing, whenever the chat was created.
{{ config(materialized='view') }}

select hour_start, direction, department_id, agent_id, provider, alias, priority,
       coalesce(sum(chats) filter (where event = 'created'), 0)::bigint as created,
       coalesce(sum(chats) filter (where event = 'closed'), 0)::bigint as closed,
       sum(case event when 'created' then chats else -chats end)::bigint as net_flow
  from {{ ref('chat_flow') }}
 group by hour_start, direction, department_id, agent_id, provider, alias, priority
