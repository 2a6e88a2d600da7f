-- The list of breaches has as many rows of each day and clock as sla_daily counts, all beyond their target.
{{ config(meta={'by_day': true}) }}
with listed as (
    select created_day, clock, count(*) as breached
      from {{ ref('sla_breaches') }}
     where excess_seconds > 0
     group by created_day, clock
),

counted as (
    select created_day, clock, sum(breached) as breached
      from {{ ref('sla_daily') }}
     group by created_day, clock
)

select counted.created_day, counted.clock, counted.breached, listed.breached as listed
  from counted
  left join listed on listed.created_day = counted.created_day and listed.clock = counted.clock
 where counted.breached <> coalesce(listed.breached, 0)
