-- No two rows of response_histogram share creation day, start of the clock, bucket and dimensions.
{{ config(meta={'by_day': true}) }}
select created_day, measured_from, bucket, department_id, agent_id, provider, alias, priority
  from {{ ref('response_histogram') }}
 group by created_day, measured_from, bucket, department_id, agent_id, provider, alias, priority
having count(*) > 1
