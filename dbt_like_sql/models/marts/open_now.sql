-- A row per priority, age, department and channel with chats that are not closed, as of the query, as last read.
{{ config(materialized='view') }}

select as_of, priority, age, department_id, provider,
       count(*) as open_chats,
       count(*) filter (where is_unassigned) as unassigned,
       count(is_unattended) as unattended_known,
       count(*) filter (where is_unattended) as unattended
  from {{ ref('open_chats') }}
 group by as_of, priority, age, department_id, provider
