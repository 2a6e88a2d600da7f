-- A run of messages of the customer, and the message that answers it.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='created_day',
    indexes=[{'columns': ['created_day']}, {'columns': ['chat_id']}]
) }}

with chosen as (
    select *
    from {{ ref('counted_chats') }}
    where true
    {% if is_incremental() %}
        and created_at >= '{{ var("from_day") }}'::date::timestamp at time zone '{{ var("time_zone") }}'
        and created_at < ('{{ var("to_day") }}'::date + 1)::timestamp at time zone '{{ var("time_zone") }}'
    {% endif %}
),

-- What follows the closing is farewell and survey; a broadcast answers nobody.
conversation as (
    select
        message.chat_id,
        message.timestamp as sent_at,
        message.incoming,
        message.position,
        message.id,
        message.incoming is distinct from lag(message.incoming) over in_order as begins_run
    from chosen
    inner join {{ source('b2chat', 'messages') }} as message
        on message.chat_id = chosen.chat_id
    where message.superseded_at is null
        and message.broadcasted is not true
        and (not chosen.is_closed or chosen.closed_at is null or message.timestamp <= chosen.closed_at)
    window in_order as (partition by message.chat_id order by message.timestamp, message.position, message.id)
),

numbered as (
    select
        conversation.chat_id,
        conversation.sent_at,
        conversation.incoming,
        count(*) filter (where conversation.begins_run) over in_order as run
    from conversation
    window in_order as (
        partition by conversation.chat_id order by conversation.sent_at, conversation.position, conversation.id
    )
),

runs as (
    select
        numbered.chat_id,
        numbered.run,
        numbered.incoming,
        min(numbered.sent_at) as started_at,
        max(numbered.sent_at) as ended_at,
        count(*)::integer as messages
    from numbered
    group by numbered.chat_id, numbered.run, numbered.incoming
),

followed as (
    select
        runs.chat_id,
        runs.run,
        runs.incoming,
        runs.started_at,
        runs.ended_at,
        runs.messages,
        lead(runs.started_at) over (partition by runs.chat_id order by runs.run) as reply_at
    from runs
),

turns as (
    select
        chosen.chat_id,
        row_number() over (partition by followed.chat_id order by followed.run)::integer as turn_number,
        chosen.created_day,
        chosen.agent_id,
        chosen.department_id,
        chosen.provider,
        chosen.alias,
        chosen.priority,
        chosen.calendar,
        chosen.is_closed,
        chosen.closed_at,
        chosen.picked_up_at,
        followed.started_at,
        followed.ended_at as last_incoming_at,
        followed.messages,
        followed.reply_at,
        case when chosen.provider = 'whatsapp' then followed.ended_at + interval '24 hours' end as window_closes_at
    from followed
    inner join chosen
        on chosen.chat_id = followed.chat_id
    where followed.incoming
)

select
    turns.chat_id,
    turns.turn_number,
    turns.created_day,
    (turns.started_at at time zone '{{ var("time_zone") }}')::date as turn_day,
    turns.agent_id,
    turns.department_id,
    turns.provider,
    turns.alias,
    turns.priority,
    turns.started_at,
    turns.last_incoming_at,
    turns.messages,
    turns.reply_at,
    extract(epoch from turns.reply_at - turns.started_at)::double precision as reply_seconds,
    ops.business_seconds(turns.calendar, turns.started_at, turns.reply_at)::double precision as reply_business_seconds,
    case
        when turns.reply_at is not null then coalesce(turns.reply_at < turns.picked_up_at, true)
    end as replied_before_pickup,
    turns.calendar,
    turns.window_closes_at,
    case
        when turns.reply_at is not null then turns.reply_at > turns.window_closes_at
        when turns.is_closed then turns.closed_at > turns.window_closes_at
    end as is_window_lapsed,
    case
        when turns.reply_at <= turns.window_closes_at
            then extract(epoch from turns.window_closes_at - turns.reply_at)::double precision
    end as window_left_seconds
from turns
