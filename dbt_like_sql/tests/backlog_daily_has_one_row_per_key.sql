-- No two rows of backlog_daily share day, dimension and value.
select day, dimension, value
  from {{ ref('backlog_daily') }}
 group by day, dimension, value
having count(*) > 1
