-- A row per creation day and dimensions with an offered survey. Population: chats created that day whose status says
-- that a survey was offered. Only those who rate are in the mean; response_rate says how many those are.
-- top_two_share: ratings 4 and 5; its bounds are Wilson's, at 95 % (1.96 standard errors).
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with surveys as (
    select created_day, department_id, agent_id, provider,
           count(*) as offered,
           count(*) filter (where survey_status = 'completed') as completed,
           count(*) filter (where survey_status = 'abandoned') as abandoned,
           count(*) filter (where survey_status = 'pending') as pending,
           count(survey_rating) as rated,
           sum(survey_rating) as rating_sum,
           count(*) filter (where survey_rating >= 4) as top_two,
           nullif(count(survey_rating), 0)::double precision as raters,
           avg((survey_rating >= 4)::integer)::double precision as share
      from {{ ref('chat_metrics') }}
     where survey_status is not null
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
     group by created_day, department_id, agent_id, provider
)

select created_day, department_id, agent_id, provider, offered, completed, abandoned, pending,
       completed::double precision / offered as response_rate,
       rated, coalesce(rating_sum, 0) as rating_sum, top_two,
       rating_sum / raters as mean_rating,
       share as top_two_share,
       (share + 1.9208 / raters - 1.96 * sqrt(share * (1 - share) / raters + 0.9604 / raters ^ 2))
           / (1 + 3.8416 / raters) as top_two_share_low,
       (share + 1.9208 / raters + 1.96 * sqrt(share * (1 - share) / raters + 0.9604 / raters ^ 2))
           / (1 + 3.8416 / raters) as top_two_share_high
  from surveys
