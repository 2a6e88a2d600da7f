-- A row per month of creation and tag; the row without a tag counts the chats that have none. Population: chats created
-- that month; a chat counts for each of its tags. A month depends on all its days, hence a plain table.
{{ config(materialized='table') }}

with months as (
    select date_trunc('month', created_day::timestamp)::date as month, count(*) as chats_of_month
      from {{ ref('chat_metrics') }}
     group by month
),

tags as (
    select date_trunc('month', created_day::timestamp)::date as month, value as tag, count(*) as chats
      from {{ ref('chat_dimensions') }}
     where dimension = 'tag'
     group by month, value
)

select tag.month, tag.tag, tag.chats, month.chats_of_month,
       tag.chats::double precision / month.chats_of_month as share
  from tags as tag
  join months as month on month.month = tag.month
