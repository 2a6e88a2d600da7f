-- A row per breached clock of an inbound chat, with the policy version that was applied.
-- breached_at: when the target was used up; NULL where the target counts business time that no calendar tells.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with breaches as (
    select chat_id, created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority, calendar, in_business_time, started_at,
           ended_at, target_seconds, elapsed_seconds
      from {{ ref('sla_clocks') }}
     where not is_met
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
)

select breach.chat_id, breach.clock, breach.created_day, breach.policy, breach.policy_version, breach.department_id,
       breach.agent_id, breach.provider, breach.alias, breach.priority, breach.in_business_time,
       breach.target_seconds, breach.elapsed_seconds,
       breach.elapsed_seconds - breach.target_seconds as excess_seconds,
       case
           when breach.in_business_time then business.breached_at
           else breach.started_at + make_interval(secs => breach.target_seconds)
       end as breached_at
  from breaches as breach
  left join lateral (
    select opening.closes_at - make_interval(secs => opening.total_seconds - breach.target_seconds) as breached_at
      from (
        select hours.closes_at,
               sum(extract(epoch from hours.closes_at - greatest(hours.opens_at, breach.started_at)))
                   over (order by hours.closes_at)::double precision as total_seconds
          from {{ source('ops', 'business_hours') }} as hours
         where breach.in_business_time
           and hours.calendar = breach.calendar
           -- No opening lasts longer: this lets the index find the first one that matters.
           and hours.opens_at > breach.started_at - interval '25 hours'
           and hours.closes_at > breach.started_at
           and hours.opens_at < breach.ended_at
      ) as opening
     where opening.total_seconds >= breach.target_seconds
     order by opening.closes_at
     limit 1
  ) as business on true
