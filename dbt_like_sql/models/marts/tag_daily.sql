-- A row per creation day, tag, duration and form: a chat counts for each of its tags, one without tags for NULL.
{{ config(materialized='view') }}

select created_day, value as tag, metric, form, population, n, n_null, n_open,
       mean_seconds, median_seconds, p90_seconds, p95_seconds, max_seconds
  from {{ ref('performance_daily') }}
 where dimension = 'tag'
