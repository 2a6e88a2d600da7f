-- No two rows of media_daily share creation day, department, channel and direction.
{{ config(meta={'by_day': true}) }}
select created_day, department_id, provider, incoming
  from {{ ref('media_daily') }}
 group by created_day, department_id, provider, incoming
having count(*) > 1
