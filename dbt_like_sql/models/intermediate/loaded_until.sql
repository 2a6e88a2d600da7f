-- One row: the end of the newest hour of chats that was loaded. Stored models that need an "until" take it from here,
-- never from the clock; NULL where no hour was loaded.
{{ config(materialized='view') }}

select max(hour_start) + interval '1 hour' as loaded_until
  from {{ source('ops', 'window_reads') }}
 where endpoint = '/chats/export'
   and applied_read_at is not null
