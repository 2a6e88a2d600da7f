-- No two rows of survey_daily share creation day, department, agent and channel.
{{ config(meta={'by_day': true}) }}
select created_day, department_id, agent_id, provider
  from {{ ref('survey_daily') }}
 group by created_day, department_id, agent_id, provider
having count(*) > 1
