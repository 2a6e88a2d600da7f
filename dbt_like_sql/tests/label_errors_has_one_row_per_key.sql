-- No two rows of label_errors share model, version of the prompt and of the rubric,
-- score, dimension and value.
select model, prompt_version, rubric_version, score, dimension, value
  from {{ ref('label_errors') }}
 group by model, prompt_version, rubric_version, score, dimension, value
having count(*) > 1
