-- A row per labelled chat and judge that scored it: what a person judged beside what a model did, by one rubric. Of
-- several labels or scorings of a chat the newest counts. Scores on trial are among them: they are reported nowhere else.
-- A level whose evidence did not hold is none.
{{ config(materialized='view') }}

with labels as (
    select distinct on (chat_id, rubric_version)
           chat_id, rubric_version, language, levels, resolution, effectiveness
      from {{ source('ops', 'analysis_labels') }}
     order by chat_id, rubric_version, labelled_at desc, labeller
),

scorings as (
    select id, chat_id, resolution_score, effectiveness_score, analysis_data, created_at
      from {{ source('b2chat', 'effectiveness_analysis') }}
     union all
    select id, chat_id, resolution_score, effectiveness_score, analysis_data, created_at
      from {{ source('ops', 'analysis_trials') }}
),

newest as (
    select distinct on (scoring.chat_id, judge.model, judge.prompt_version, judge.rubric_version)
           scoring.chat_id, judge.model, judge.prompt_version, judge.rubric_version,
           scoring.resolution_score as resolution,
           case when scoring.analysis_data ->> 'satisfaction_basis' <> 'none' then scoring.effectiveness_score end
               as effectiveness,
           scoring.analysis_data
      from scorings as scoring
     cross join lateral (
        select scoring.analysis_data ->> 'model' as model,
               scoring.analysis_data ->> 'prompt_version' as prompt_version,
               scoring.analysis_data ->> 'rubric_version' as rubric_version
     ) as judge
     order by scoring.chat_id, judge.model, judge.prompt_version, judge.rubric_version, scoring.created_at desc,
              scoring.id desc
)

select label.chat_id, newest.model, newest.prompt_version, newest.rubric_version,
       label.levels as label_levels, judged.levels as score_levels,
       label.resolution as label_resolution, newest.resolution as score_resolution,
       label.effectiveness as label_effectiveness, newest.effectiveness as score_effectiveness,
       coalesce(label.language, lower(newest.analysis_data ->> 'language')) as language,
       chat.department_id,
       (newest.analysis_data ->> 'analyzed_messages')::integer as messages
  from labels as label
  join newest
    on newest.chat_id = label.chat_id
   and newest.rubric_version = label.rubric_version
  join {{ source('b2chat', 'chats') }} as chat
    on chat.id = label.chat_id and not chat.is_deleted
 cross join lateral (
    select coalesce(jsonb_object_agg(criterion.key, criterion.value -> 'level'), '{}'::jsonb) as levels
      from jsonb_each(
               (newest.analysis_data -> 'resolution_details')
               || (newest.analysis_data -> 'sentiment_analysis' -> 'criteria')
           ) as criterion
     where jsonb_typeof(criterion.value -> 'level') = 'number'
       and newest.analysis_data -> 'voided_criteria' -> criterion.key is null
 ) as judged
