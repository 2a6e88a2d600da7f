-- What is told as paid and as put aside is the ledger, to the last digit.
with told as (
    select coalesce(sum(paid_usd + open_usd), 0) as usd, coalesce(sum(calls), 0) as calls
      from {{ ref('scoring_spending_daily') }}
),

ledger as (
    select coalesce(sum(coalesce(cost_usd, reserved_usd)), 0) as usd, count(*) as calls
      from {{ source('ops', 'analysis_calls') }}
)

select told.usd, ledger.usd as usd_of_ledger, told.calls, ledger.calls as calls_of_ledger
  from told
 cross join ledger
 where told.usd <> ledger.usd
    or told.calls <> ledger.calls
