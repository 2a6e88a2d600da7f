-- How often each promise was kept, by week of creation; open chats past their target count as not kept.
select date_trunc('week', created_day)::date as week,
       clock,
       sum(met) as met,
       sum(breached + open_past_target) as missed,
       sum(open_within_target) as still_open,
       round((sum(met) / nullif(sum(met + breached + open_past_target), 0))::numeric, 3) as attainment
  from analytics.sla_attainment
 group by week, clock
 order by week desc, clock;
