-- A chat seen in the bot is contained, handed over, or neither so far.
{{ config(meta={'by_day': true}) }}
select created_day, provider, alias, chats, contained, handed_over, n_open
  from {{ ref('bot_containment') }}
 where chats <> contained + handed_over + n_open
