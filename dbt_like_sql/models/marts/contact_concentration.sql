-- A row per period (7, 30 and 90 days before the newest loaded hour): the share of chats that the busiest tenth of its
-- contacts caused; a tenth is rounded up to whole contacts. Population: contacts with a chat in the period.
-- Depends on all days, hence a plain table.
{{ config(materialized='table') }}

with counted as (
    select period.days, frequency.contact_id, period.chats,
           row_number() over (partition by period.days order by period.chats desc, frequency.contact_id) as place,
           count(*) over (partition by period.days) as contacts
      from {{ ref('contact_frequency') }} as frequency
     cross join lateral (
        values (7, chats_7_days), (30, chats_30_days), (90, chats_90_days)
     ) as period (days, chats)
     where period.chats > 0
)

select days,
       count(*) as contacts,
       sum(chats)::bigint as chats,
       count(*) filter (where place <= ceil(contacts / 10.0)) as top_decile_contacts,
       (sum(chats) filter (where place <= ceil(contacts / 10.0)))::bigint as top_decile_chats,
       (sum(chats) filter (where place <= ceil(contacts / 10.0)))::double precision / sum(chats)::double precision
           as top_decile_share
  from counted
 group by days
