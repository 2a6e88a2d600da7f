-- A row per creation day, alias, duration and form: the line or brand, NULL where the chat names none.
{{ config(materialized='view') }}

select created_day, value as alias, metric, form, population, n, n_null, n_open,
       mean_seconds, median_seconds, p90_seconds, p95_seconds, max_seconds
  from {{ ref('performance_daily') }}
 where dimension = 'alias'
