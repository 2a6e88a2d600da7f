-- No two rows of new_and_returning share creation day, channel and direction.
select created_day, provider, direction
  from {{ ref('new_and_returning') }}
 group by created_day, provider, direction
having count(*) > 1
