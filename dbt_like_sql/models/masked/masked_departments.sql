-- The departments; nothing of them is personal.
{{ config(materialized='view') }}

select id as department_id, b2chat_code, name, parent_id, path, level, is_leaf, is_active, last_seen_at
  from {{ source('b2chat', 'departments') }}
