-- No two rows of after_hours_daily share creation day, department and channel.
{{ config(meta={'by_day': true}) }}
select created_day, department_id, provider
  from {{ ref('after_hours_daily') }}
 group by created_day, department_id, provider
having count(*) > 1
