-- An offered survey is completed, abandoned or pending, and only completed ones have a rating.
{{ config(meta={'by_day': true}) }}
select created_day, department_id, agent_id, provider, offered, completed, abandoned, pending, rated
  from {{ ref('survey_daily') }}
 where offered <> completed + abandoned + pending
    or rated > completed
    or top_two > rated
