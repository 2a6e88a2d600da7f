-- No two rows of whatsapp_window_daily share creation day and department.
{{ config(meta={'by_day': true}) }}
select created_day, department_id
  from {{ ref('whatsapp_window_daily') }}
 group by created_day, department_id
having count(*) > 1
