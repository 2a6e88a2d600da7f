-- Whatever a duration is asked of either has it, is closed without it, or may still get it.
{{ config(meta={'by_day': true}) }}
select created_day, dimension, value, metric, form, population, n, n_null, n_open
  from {{ ref('performance_daily') }}
 where population <> n + n_null + n_open
    or (n = 0) <> (mean_seconds is null)
