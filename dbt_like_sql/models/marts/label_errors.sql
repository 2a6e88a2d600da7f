-- A row per judge, score, dimension and value: by how much a model's score differs from what people judged, in points.
-- Population: labelled chats scored by the judge, where both have the score; a chat counts once in each dimension.
-- mean_error is the bias: above 0 the model is kinder than people. The language is that of the label, where it names
-- none that of the scoring. Below ten chats no figure is told.
{{ config(materialized='view') }}

select pair.model, pair.prompt_version, pair.rubric_version, compared.score, cut.dimension, cut.value,
       count(*) as compared,
       case when count(*) >= 10 then avg(compared.error) end as mean_error,
       case when count(*) >= 10 then avg(abs(compared.error)) end as mean_absolute_error
  from {{ ref('label_pairs') }} as pair
 cross join lateral (
    values ('resolution', pair.score_resolution - pair.label_resolution),
           ('effectiveness', pair.score_effectiveness - pair.label_effectiveness)
 ) as compared (score, error)
 cross join lateral (
    values ('account', null),
           ('language', pair.language),
           ('department', pair.department_id),
           ('length', case
                          when pair.messages < 10 then 'below 10 messages'
                          when pair.messages < 30 then '10 to 29 messages'
                          else '30 messages and more'
                      end)
 ) as cut (dimension, value)
 where compared.error is not null
 group by pair.model, pair.prompt_version, pair.rubric_version, compared.score, cut.dimension, cut.value
