-- A row per creation day, clock, policy version and dimensions. Population: inbound chats created that day.
-- running and not_judged are no verdicts; sla_attainment judges what is still running, at query time.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

select created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority,
       count(*) as chats,
       count(*) filter (where is_met) as met,
       count(*) filter (where not is_met) as breached,
       count(*) filter (where is_met is null and not is_closed and started_at is not null) as running,
       count(*) filter (where is_met is null and (is_closed or started_at is null)) as not_judged,
       count(*) filter (where is_met)::double precision / nullif(count(is_met), 0) as met_share_of_judged
  from {{ ref('sla_clocks') }}
{% if is_incremental() %}
 where created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
 group by created_day, clock, policy, policy_version, department_id, agent_id, provider, alias, priority
