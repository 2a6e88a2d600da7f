-- A row per day of spending, department, model, version of its prompt and way of asking. Population: every call of the
-- ledger, those about canaries, about chats that are deleted, and those still waited for included: paid_usd + open_usd is
-- what counts against the caps, and their sum over all rows that of the ledger.
{{ config(materialized='view') }}

select call.day as spent_day, chat.department_id, call.model, call.prompt_version, call.mode,
       call.chat_id like 'canary:%' as is_canary,
       count(*) as calls,
       count(*) filter (where call.state = 'reserved') as open_calls,
       count(*) filter (where call.state = 'lost') as lost_calls,
       count(*) filter (where call.outcome = 'scored') as scorings,
       coalesce(sum(coalesce(call.cost_usd, call.reserved_usd)) filter (where call.state <> 'reserved'), 0) as paid_usd,
       coalesce(sum(call.reserved_usd) filter (where call.state = 'lost'), 0) as lost_usd,
       coalesce(sum(call.reserved_usd) filter (where call.state = 'reserved'), 0) as open_usd
  from {{ source('ops', 'analysis_calls') }} as call
  left join {{ source('b2chat', 'chats') }} as chat on chat.id = call.chat_id
 group by call.day, chat.department_id, call.model, call.prompt_version, call.mode, is_canary
