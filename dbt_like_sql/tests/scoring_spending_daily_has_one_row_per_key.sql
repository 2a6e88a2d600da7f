-- No two rows of scoring_spending_daily share day, department, model, version of the prompt, way of asking and canary.
select spent_day, department_id, model, prompt_version, mode, is_canary
  from {{ ref('scoring_spending_daily') }}
 group by spent_day, department_id, model, prompt_version, mode, is_canary
having count(*) > 1
