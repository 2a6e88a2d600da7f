-- A row per creation day, agent, duration and form: the chats' agent now, NULL while unassigned.
{{ config(materialized='view') }}

select created_day, value as agent_id, metric, form, population, n, n_null, n_open,
       mean_seconds, median_seconds, p90_seconds, p95_seconds, max_seconds
  from {{ ref('performance_daily') }}
 where dimension = 'agent'
