-- A row per closing day, department, agent, channel, model and version of its prompt. Population: closed-in-period, chats
-- closed that day, beside every model that scored at least one chat of that day. Of several scorings of a chat by the
-- same model and version, the newest one counts; different ones are never mixed.
-- Where the customer shows no feeling, satisfaction is not known, and effectiveness is the resolution alone: such scores
-- are in the means of resolution and response time, and in no other. Intervals are those of a mean at 95 % (1.96 standard
-- errors). A rating of the survey, 1 to 5, is put on the scale of satisfaction as 25 * (rating - 1).
-- A day depends on the chats closed that day, and on when they were scored, hence a plain table.
{{ config(materialized='table') }}

with scorings as (
    select distinct on (analysis.chat_id, judge.model, judge.prompt_version)
           analysis.chat_id, judge.model, judge.prompt_version, analysis.resolution_score as resolution,
           analysis.response_time_score as response_time,
           case when judge.is_satisfaction_known then analysis.customer_satisfaction end as satisfaction,
           case when judge.is_satisfaction_known then analysis.effectiveness_score end as effectiveness
      from {{ source('b2chat', 'effectiveness_analysis') }} as analysis
     cross join lateral (
        select analysis.analysis_data ->> 'model' as model,
               analysis.analysis_data ->> 'prompt_version' as prompt_version,
               analysis.analysis_data ->> 'satisfaction_basis' <> 'none' as is_satisfaction_known
     ) as judge
     order by analysis.chat_id, judge.model, judge.prompt_version, analysis.created_at desc, analysis.id desc
),

judges as (
    select distinct (candidate.closed_at at time zone '{{ var("time_zone") }}')::date as closed_day,
           scoring.model, scoring.prompt_version
      from scorings as scoring
      join {{ ref('scoring_candidates') }} as candidate on candidate.chat_id = scoring.chat_id
),

cells as (
    select chat.closed_day, chat.department_id, chat.agent_id, chat.provider, judge.model, judge.prompt_version,
           count(*) as chats,
           count(*) filter (where candidate.reason is null) as eligible,
           count(scoring.resolution) as scored,
           count(scoring.effectiveness) as with_satisfaction,
           sum(scoring.effectiveness) as effectiveness_sum,
           avg(scoring.effectiveness) as effectiveness,
           1.96 * stddev_samp(scoring.effectiveness) / sqrt(count(scoring.effectiveness)) as effectiveness_half,
           avg(scoring.satisfaction) as satisfaction,
           1.96 * stddev_samp(scoring.satisfaction) / sqrt(count(scoring.satisfaction)) as satisfaction_half,
           sum(scoring.resolution) as resolution_sum,
           avg(scoring.resolution) as resolution,
           1.96 * stddev_samp(scoring.resolution) / sqrt(count(scoring.resolution)) as resolution_half,
           sum(scoring.response_time) as response_time_sum,
           avg(scoring.response_time) as response_time,
           1.96 * stddev_samp(scoring.response_time) / sqrt(count(scoring.response_time)) as response_time_half,
           count(rated.difference) as rated,
           sum(rated.difference) as rating_difference_sum,
           avg(rated.difference) as rating_difference,
           sum(abs(rated.difference)) as rating_distance_sum,
           avg(abs(rated.difference)) as rating_distance
      from judges as judge
      join {{ ref('chat_metrics') }} as chat on chat.closed_day = judge.closed_day
      join {{ ref('scoring_candidates') }} as candidate on candidate.chat_id = chat.chat_id
      left join scorings as scoring
        on scoring.chat_id = chat.chat_id
       and scoring.model = judge.model
       and scoring.prompt_version = judge.prompt_version
     cross join lateral (select scoring.satisfaction - 25 * (chat.survey_rating - 1) as difference) as rated
     group by chat.closed_day, chat.department_id, chat.agent_id, chat.provider, judge.model, judge.prompt_version
)

select closed_day, department_id, agent_id, provider, model, prompt_version, chats, eligible, scored, with_satisfaction,
       coalesce(effectiveness_sum, 0) as effectiveness_sum,
       effectiveness as mean_effectiveness,
       effectiveness - effectiveness_half as effectiveness_low,
       effectiveness + effectiveness_half as effectiveness_high,
       satisfaction as mean_satisfaction,
       satisfaction - satisfaction_half as satisfaction_low,
       satisfaction + satisfaction_half as satisfaction_high,
       coalesce(resolution_sum, 0) as resolution_sum,
       resolution as mean_resolution,
       resolution - resolution_half as resolution_low,
       resolution + resolution_half as resolution_high,
       coalesce(response_time_sum, 0) as response_time_sum,
       response_time as mean_response_time,
       response_time - response_time_half as response_time_low,
       response_time + response_time_half as response_time_high,
       rated,
       coalesce(rating_difference_sum, 0) as rating_difference_sum,
       rating_difference as mean_rating_difference,
       coalesce(rating_distance_sum, 0) as rating_distance_sum,
       rating_distance as mean_rating_distance
  from cells
