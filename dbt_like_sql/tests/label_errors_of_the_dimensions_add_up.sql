-- Whatever the dimension, the chats compared of a score are those of the account.
select model, prompt_version, rubric_version, score
  from (
    select model, prompt_version, rubric_version, score, dimension, sum(compared) as compared
      from {{ ref('label_errors') }}
     group by model, prompt_version, rubric_version, score, dimension
       ) as by_dimension
 group by model, prompt_version, rubric_version, score
having min(compared) <> max(compared)
