-- No more clocks are past their target than are running.
{{ config(meta={'by_day': true}) }}
select created_day, clock, policy, policy_version, open_past_target, open_within_target
  from {{ ref('sla_attainment') }}
 where open_within_target < 0
