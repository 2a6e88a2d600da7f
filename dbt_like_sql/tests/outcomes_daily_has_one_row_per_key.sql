-- No two rows of outcomes_daily share creation day, direction and dimensions.
{{ config(meta={'by_day': true}) }}
select created_day, direction, department_id, agent_id, provider, alias, priority
  from {{ ref('outcomes_daily') }}
 group by created_day, direction, department_id, agent_id, provider, alias, priority
having count(*) > 1
