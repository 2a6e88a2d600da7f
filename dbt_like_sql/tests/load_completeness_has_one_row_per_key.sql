-- No two rows of load_completeness share entity and hour.
select entity, hour_start
  from {{ ref('load_completeness') }}
 group by entity, hour_start
having count(*) > 1
