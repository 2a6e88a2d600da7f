-- A row per month of creation, weekday and hour, account-local: all 168 cells of every month that had a chat.
-- Population: inbound chats created in the cell. A month depends on all its days, hence a plain table.
{{ config(materialized='table') }}

with chats as (
    select date_trunc('month', created_day)::date as month,
           extract(isodow from created_day)::integer as weekday,
           extract(hour from created_at at time zone '{{ var("time_zone") }}')::integer as hour,
           first_response_seconds, sla_first_response_met
      from {{ ref('chat_metrics') }}
     where direction = 'inbound'
),

cells as (
    select month.month, weekday, hour
      from (select distinct month from chats) as month
     cross join generate_series(1, 7) as weekday
     cross join generate_series(0, 23) as hour
)

select cell.month, cell.weekday, cell.hour,
       count(chat.month) as chats,
       count(chat.first_response_seconds) as first_response_n,
       percentile_cont(0.5) within group (order by chat.first_response_seconds) as first_response_median_seconds,
       count(chat.sla_first_response_met) as sla_n,
       count(*) filter (where chat.sla_first_response_met) as sla_met,
       count(*) filter (where chat.sla_first_response_met)::double precision
           / nullif(count(chat.sla_first_response_met), 0) as sla_met_share_of_judged
  from cells as cell
  left join chats as chat on chat.month = cell.month and chat.weekday = cell.weekday and chat.hour = cell.hour
 group by cell.month, cell.weekday, cell.hour
