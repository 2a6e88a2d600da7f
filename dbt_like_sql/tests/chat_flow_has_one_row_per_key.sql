-- No two rows of chat_flow share creation day, hour, event and dimensions.
{{ config(meta={'by_day': true}) }}
select created_day, hour_start, event, direction, department_id, agent_id, provider, alias, priority
  from {{ ref('chat_flow') }}
 group by created_day, hour_start, event, direction, department_id, agent_id, provider, alias, priority
having count(*) > 1
