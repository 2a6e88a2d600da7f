-- A row per judge and criterion: how far a model agrees with people. Population: labelled chats scored by the judge,
-- whose label has a level of the criterion; compared are those where the judge has one too. Judges are never mixed.
-- weighted_kappa is Cohen's of 1968 with squared weights: 1 less the mean squared difference over that which chance alone
-- would make of the same levels, which is var(label) + var(score) + (mean(label) - mean(score))^2. 1 is full agreement,
-- 0 that of chance. Below ten compared chats no figure is told.
{{ config(materialized='view') }}

with judged as (
    select pair.model, pair.prompt_version, pair.rubric_version, label.criterion,
           label.level::integer as label_level, (pair.score_levels ->> label.criterion)::integer as score_level
      from {{ ref('label_pairs') }} as pair
     cross join lateral jsonb_each_text(pair.label_levels) as label (criterion, level)
),

figures as (
    select model, prompt_version, rubric_version, criterion,
           count(*) as labelled,
           count(score_level) as compared,
           avg((score_level - label_level) ^ 2) as observed,
           var_pop(score_level) + var_pop(label_level) filter (where score_level is not null)
               + (avg(score_level - label_level)) ^ 2 as by_chance,
           avg(score_level - label_level) as mean_error,
           avg(abs(score_level - label_level)) as mean_absolute_error,
           avg((score_level = label_level)::integer) as exact_share
      from judged
     group by model, prompt_version, rubric_version, criterion
)

select model, prompt_version, rubric_version, criterion, labelled, compared,
       case when compared >= 10 then 1 - observed / nullif(by_chance::double precision, 0) end as weighted_kappa,
       case when compared >= 10 then mean_error::double precision end as mean_error,
       case when compared >= 10 then mean_absolute_error::double precision end as mean_absolute_error,
       case when compared >= 10 then exact_share::double precision end as exact_share
  from figures
