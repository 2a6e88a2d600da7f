-- Each clock under a policy is met, breached, running or not judged.
{{ config(meta={'by_day': true}) }}
select created_day, clock, policy, policy_version, chats, met, breached, running, not_judged
  from {{ ref('sla_daily') }}
 where chats <> met + breached + running + not_judged
