-- A row per account-local day and dimensions in which a chat was created or closed; else as hourly_volume.
{{ config(materialized='view') }}

select (hour_start at time zone '{{ var("time_zone") }}')::date as day,
       direction, department_id, agent_id, provider, alias, priority,
       sum(created)::bigint as created, sum(closed)::bigint as closed, sum(net_flow)::bigint as net_flow
  from {{ ref('hourly_volume') }}
 group by day, direction, department_id, agent_id, provider, alias, priority
