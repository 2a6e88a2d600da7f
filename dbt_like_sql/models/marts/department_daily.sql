-- A row per creation day, department, scope, duration and form: the department's own chats, or those of its subtree.
{{ config(materialized='view') }}

select created_day, value as department_id, case dimension when 'department' then 'own' else 'subtree' end as scope,
       metric, form, population, n, n_null, n_open,
       mean_seconds, median_seconds, p90_seconds, p95_seconds, max_seconds
  from {{ ref('performance_daily') }}
 where dimension in ('department', 'department_tree')
