-- A row per creation day, channel, duration and form: the chats' provider.
{{ config(materialized='view') }}

select created_day, value as provider, metric, form, population, n, n_null, n_open,
       mean_seconds, median_seconds, p90_seconds, p95_seconds, max_seconds
  from {{ ref('performance_daily') }}
 where dimension = 'channel'
