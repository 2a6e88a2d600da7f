-- A row per creation day, channel and direction: chats that were their contact's first one ever, and others.
-- Population: chats created that day. "Ever" begins with the first day that was loaded.
-- A day depends on all days before it, hence a plain table.
{{ config(materialized='table') }}

with ordered as (
    select created_day, provider, direction, contact_id,
           row_number() over (partition by contact_id order by created_at, chat_id) as place
      from {{ ref('chat_metrics') }}
)

select created_day, provider, direction,
       count(*) as chats,
       count(*) filter (where contact_id is not null and place = 1) as new_contacts,
       count(*) filter (where contact_id is not null and place > 1) as returning_chats,
       count(*) filter (where contact_id is null) as without_contact,
       (count(*) filter (where contact_id is not null and place = 1))::double precision
           / nullif(count(contact_id), 0) as new_share
  from ordered
 group by created_day, provider, direction
