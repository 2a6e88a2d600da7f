-- A row per closing day and dimensions. Population: closed-in-period, chats of known contacts closed that day.
-- first_contact_resolution (a proxy) = resolved_at_first_contact / (resolved_at_first_contact + repeated): of the chats
-- without an observed reopening, those that no inbound chat of the contact followed within seven days, on any channel.
-- n_open (the seven days are not over) and n_reopened are outside the rate. A day depends on the seven days after it,
-- hence a plain table.
{{ config(materialized='table') }}

with judged as (
    select closed_day, department_id, agent_id, provider, alias, priority, reopens, repeated_any_channel
      from {{ ref('repeat_contact') }}
     where period_hours = 168
)

select closed_day, department_id, agent_id, provider, alias, priority,
       count(*) as closed,
       count(*) filter (where reopens = 0 and not repeated_any_channel) as resolved_at_first_contact,
       count(*) filter (where reopens = 0 and repeated_any_channel) as repeated,
       count(*) filter (where reopens = 0 and repeated_any_channel is null) as n_open,
       count(*) filter (where reopens > 0) as n_reopened,
       (count(*) filter (where reopens = 0 and not repeated_any_channel))::double precision
           / nullif(count(repeated_any_channel) filter (where reopens = 0), 0) as first_contact_resolution
  from judged
 group by closed_day, department_id, agent_id, provider, alias, priority
