-- A row per chat that is not closed, as of the query, as last read. unattended: the last word is the customer's;
-- NULL where messages are not told.
{{ config(materialized='view') }}

select now() as as_of, chat_id, b2chat_id, created_day, created_at, direction, department_id, agent_id, provider, alias,
       priority, raw_status,
       agent_id is null as is_unassigned,
       last_message_incoming as is_unattended,
       last_message_at,
       extract(epoch from now() - created_at)::double precision as age_seconds,
       case
           when created_at > now() - interval '1 hour' then 'under 1 h'
           when created_at > now() - interval '4 hours' then '1 to 4 h'
           when created_at > now() - interval '24 hours' then '4 to 24 h'
           when created_at > now() - interval '72 hours' then '1 to 3 days'
           when created_at > now() - interval '168 hours' then '3 to 7 days'
           else 'over 7 days'
       end as age
  from {{ ref('chat_metrics') }}
 where not is_closed
