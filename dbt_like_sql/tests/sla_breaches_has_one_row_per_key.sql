-- No two rows of sla_breaches share creation day, chat and clock.
{{ config(meta={'by_day': true}) }}
select created_day, chat_id, clock
  from {{ ref('sla_breaches') }}
 group by created_day, chat_id, clock
having count(*) > 1
