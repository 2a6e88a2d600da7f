-- A row per month of the first inbound chat (the cohort) and month after it: who of the cohort wrote again.
-- Population: contacts whose first inbound chat was created in the cohort's month; a chat of month_number months later
-- counts. is_complete: the month was over by the newest loaded hour; until then the share may grow.
-- Depends on all days, hence a plain table.
{{ config(materialized='table') }}

with months as (
    select distinct contact_id, date_trunc('month', created_day::timestamp)::date as month
      from {{ ref('chat_metrics') }}
     where direction = 'inbound'
       and contact_id is not null
),

cohorts as (
    select contact_id, min(month) as cohort_month
      from months
     group by contact_id
),

sizes as (
    select cohort_month, count(*) as contacts
      from cohorts
     group by cohort_month
),

until as (
    select date_trunc('month', (loaded_until - interval '1 microsecond') at time zone '{{ var("time_zone") }}') as last_month,
           loaded_until at time zone '{{ var("time_zone") }}' as loaded_until
      from {{ ref('loaded_until') }}
),

cells as (
    select size.cohort_month, size.contacts, month.month::date as month,
           month.month + interval '1 month' <= until.loaded_until as is_complete
      from sizes as size
     cross join until
     cross join lateral generate_series(
        size.cohort_month::timestamp, until.last_month, interval '1 month'
     ) as month (month)
),

active as (
    select cohort.cohort_month, month.month, count(*) as contacts
      from cohorts as cohort
      join months as month on month.contact_id = cohort.contact_id
     group by cohort.cohort_month, month.month
)

select cell.cohort_month,
       (extract(year from age(cell.month::timestamp, cell.cohort_month::timestamp)) * 12
           + extract(month from age(cell.month::timestamp, cell.cohort_month::timestamp)))::integer as month_number,
       cell.contacts,
       coalesce(active.contacts, 0) as writing_contacts,
       coalesce(active.contacts, 0)::double precision / cell.contacts as retention,
       cell.is_complete
  from cells as cell
  left join active on active.cohort_month = cell.cohort_month and active.month = cell.month
