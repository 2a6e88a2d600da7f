-- A row per creation day, direction and dimensions. Population: chats created that day; all counts can be added up.
-- Rates are left to who adds them up: divide each count by its own *_known, which are the chats it can be told of.
-- Fractions are added as numeric: sums of floating-point numbers depend on the order in which rows are met.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

select created_day, direction, department_id, agent_id, provider, alias, priority,
       count(*) as chats,
       count(*) filter (where is_closed) as closed,
       count(*) filter (where has_messages) as with_messages,
       count(*) filter (where response_at is not null) as answered,
       count(*) filter (where response_at is null and is_closed) as closed_unanswered,
       count(first_response_confirmed) as first_response_check_known,
       count(*) filter (where not first_response_confirmed) as first_response_differs,
       count(is_abandoned_in_queue) as abandoned_in_queue_known,
       count(*) filter (where is_abandoned_in_queue) as abandoned_in_queue,
       count(is_abandoned_by_customer) as abandoned_by_customer_known,
       count(*) filter (where is_abandoned_by_customer) as abandoned_by_customer,
       count(is_missed) as missed_known,
       count(*) filter (where is_missed) as missed,
       count(is_one_touch) as one_touch_known,
       count(*) filter (where is_one_touch) as one_touch,
       count(*) filter (where reopens > 0) as reopened,
       count(*) filter (where agent_transfers > 0 or department_transfers > 0) as transferred,
       coalesce(sum(messages_in), 0)::bigint as messages_in,
       coalesce(sum(messages_out), 0)::bigint as messages_out,
       coalesce(sum(touches), 0)::bigint as touches,
       coalesce(sum(turns), 0)::bigint as turns,
       coalesce(sum(unanswered_turns), 0)::bigint as unanswered_turns,
       count(customer_wait_share) as customer_wait_share_known,
       coalesce(sum(customer_wait_share::numeric), 0) as customer_wait_share_sum,
       count(response_time_score) as response_time_score_known,
       coalesce(sum(response_time_score::numeric), 0) as response_time_score_sum
  from {{ ref('chat_metrics') }}
{% if is_incremental() %}
 where created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
 group by created_day, direction, department_id, agent_id, provider, alias, priority
