-- No two rows of label_agreement share model, version of the prompt and of the rubric, and criterion.
select model, prompt_version, rubric_version, criterion
  from {{ ref('label_agreement') }}
 group by model, prompt_version, rubric_version, criterion
having count(*) > 1
