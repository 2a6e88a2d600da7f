-- No two rows of scoring_cost_daily share closing day, department, model and version of the prompt.
select closed_day, department_id, model, prompt_version
  from {{ ref('scoring_cost_daily') }}
 group by closed_day, department_id, model, prompt_version
having count(*) > 1
