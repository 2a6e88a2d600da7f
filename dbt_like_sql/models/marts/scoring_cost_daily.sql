-- A row per closing day, department, model and version of its prompt. Population: closed-in-period, chats closed that day,
-- beside every model and version that was asked about any of them; what was paid for these chats, on whatever day, with
-- every answer that brought no score. Canaries are no chats: scoring_spending_daily has them.
-- A day depends on the chats closed that day, and on when they were asked about, hence a plain table.
{{ config(materialized='table') }}

with costs as (
    select chat_id, model, prompt_version,
           bool_or(outcome = 'scored') as is_scored,
           sum(coalesce(cost_usd, reserved_usd)) filter (where state <> 'reserved') as paid_usd,
           sum(reserved_usd) filter (where state = 'reserved') as open_usd
      from {{ source('ops', 'analysis_calls') }}
     group by chat_id, model, prompt_version
),

asked as (
    select distinct (chat.closed_at at time zone '{{ var("time_zone") }}')::date as closed_day,
           cost.model, cost.prompt_version
      from costs as cost
      join {{ source('b2chat', 'chats') }} as chat on chat.id = cost.chat_id
     where chat.status in ('closed', 'unknown')
       and not chat.is_deleted
),

cells as (
    select chat.closed_day, chat.department_id, asked.model, asked.prompt_version,
           count(*) as chats,
           count(*) filter (where cost.is_scored) as scored,
           coalesce(sum(cost.paid_usd), 0) as paid_usd,
           coalesce(sum(cost.open_usd), 0) as open_usd
      from asked
      join {{ ref('chat_metrics') }} as chat on chat.closed_day = asked.closed_day
      left join costs as cost
        on cost.chat_id = chat.chat_id
       and cost.model = asked.model
       and cost.prompt_version is not distinct from asked.prompt_version
     group by chat.closed_day, chat.department_id, asked.model, asked.prompt_version
)

select closed_day, department_id, model, prompt_version, chats, scored, paid_usd, open_usd,
       1000 * paid_usd::double precision / chats as usd_per_1000_closed,
       1000 * paid_usd::double precision / nullif(scored, 0) as usd_per_1000_scored
  from cells
