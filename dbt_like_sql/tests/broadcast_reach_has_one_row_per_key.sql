-- No two rows of broadcast_reach share day, channel and alias.
select sent_day, provider, alias
  from {{ ref('broadcast_reach') }}
 group by sent_day, provider, alias
having count(*) > 1
