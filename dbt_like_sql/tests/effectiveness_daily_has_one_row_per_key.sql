-- No two rows of effectiveness_daily share closing day, department, agent, channel, model and version of the prompt.
select closed_day, department_id, agent_id, provider, model, prompt_version
  from {{ ref('effectiveness_daily') }}
 group by closed_day, department_id, agent_id, provider, model, prompt_version
having count(*) > 1
