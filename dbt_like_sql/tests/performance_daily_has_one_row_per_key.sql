-- No two rows of performance_daily share creation day, dimension, value, duration and form.
{{ config(meta={'by_day': true}) }}
select created_day, dimension, value, metric, form
  from {{ ref('performance_daily') }}
 group by created_day, dimension, value, metric, form
having count(*) > 1
