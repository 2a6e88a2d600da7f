-- No two rows of label_pairs share chat, model, version of the prompt and of the rubric.
select chat_id, model, prompt_version, rubric_version
  from {{ ref('label_pairs') }}
 group by chat_id, model, prompt_version, rubric_version
having count(*) > 1
