-- No two rows of sla_breaches share chat and clock.
select chat_id, clock
  from {{ ref('sla_breaches') }}
 group by chat_id, clock
having count(*) > 1
