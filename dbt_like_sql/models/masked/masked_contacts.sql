-- The contacts without anything that tells who they are. Whether a number or an address is known is told, not which.
{{ config(materialized='view') }}

select id as contact_id,
       city,
       country,
       coalesce(mobile, phone_number) is not null as has_phone_number,
       email is not null as has_email,
       identification is not null as has_identification,
       is_full,
       is_deleted,
       created_at,
       updated_at,
       last_seen_at
  from {{ source('b2chat', 'contacts') }}
