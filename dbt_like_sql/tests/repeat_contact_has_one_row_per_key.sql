-- No two rows of repeat_contact share chat and period.
select chat_id, period_hours
  from {{ ref('repeat_contact') }}
 group by chat_id, period_hours
having count(*) > 1
