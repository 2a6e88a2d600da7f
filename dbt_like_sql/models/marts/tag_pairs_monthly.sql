-- A row per month of creation and pair of tags that a chat has both of, first_tag before second_tag.
-- lift = share of chats with both / (share with the first * share with the second); 1: as if independent.
-- Population: chats created that month, with tags or not. A month depends on all its days, hence a plain table.
{{ config(materialized='table') }}

with tagged as (
    select date_trunc('month', created_day::timestamp)::date as month, chat_id, value as tag
      from {{ ref('chat_dimensions') }}
     where dimension = 'tag'
),

pairs as (
    select one.month, one.tag as first_tag, other.tag as second_tag, count(*) as chats
      from tagged as one
      join tagged as other on other.chat_id = one.chat_id and other.tag collate "C" > one.tag collate "C"
     group by one.month, one.tag, other.tag
)

select pair.month, pair.first_tag, pair.second_tag, pair.chats,
       pair.chats::double precision * first.chats_of_month / (first.chats * second.chats) as lift
  from pairs as pair
  join {{ ref('tag_mix_monthly') }} as first on first.month = pair.month and first.tag = pair.first_tag
  join {{ ref('tag_mix_monthly') }} as second on second.month = pair.month and second.tag = pair.second_tag
