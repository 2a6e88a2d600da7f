-- No two rows of bot_containment share creation day, channel and alias.
{{ config(meta={'by_day': true}) }}
select created_day, provider, alias
  from {{ ref('bot_containment') }}
 group by created_day, provider, alias
having count(*) > 1
