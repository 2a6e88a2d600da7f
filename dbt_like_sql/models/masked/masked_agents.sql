-- The agents by name. Left out: user name and address, with which somebody could write to them or log in.
{{ config(materialized='view') }}

select id as agent_id, name, department_id, is_active, is_deleted, last_seen_at
  from {{ source('b2chat', 'agents') }}
