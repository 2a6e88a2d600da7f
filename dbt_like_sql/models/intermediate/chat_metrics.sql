-- What each chat took, who waited for whom, and whether the promises were kept.
{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='created_day',
    indexes=[
        {'columns': ['created_day']},
        {'columns': ['chat_id']},
        {'columns': ['closed_day']},
        {'columns': ['contact_id', 'created_at']}
    ]
) }}

-- B2Chat's own words for the status of a chat; any other is not judged.
{% set closed_words =
    "('CLOSED', 'CLOSED_BY_CONTACT', 'LEFT_BY_CONTACT', 'COMPLETING_POLL', 'COMPLETED_POLL', 'ABANDONED_POLL')" %}
{% set open_words = "('BOT_CHATTING', 'OPENED', 'PICKED_UP', 'RESPONDED_BY_AGENT')" %}

with chosen as (
    select *
    from {{ ref('counted_chats') }}
    where true
    {% if is_incremental() %}
        and created_at >= '{{ var("from_day") }}'::date::timestamp at time zone '{{ var("time_zone") }}'
        and created_at < ('{{ var("to_day") }}'::date + 1)::timestamp at time zone '{{ var("time_zone") }}'
    {% endif %}
),

-- Every message told, the survey and broadcasts included.
told as (
    select
        message.chat_id,
        message.timestamp as sent_at,
        message.incoming,
        coalesce(message.broadcasted, false) as broadcasted,
        message.type::text as type,
        message.media_backed_up,
        btrim(message.text, E' \t\r\n') as text,
        message.position,
        message.id,
        chosen.is_closed and message.timestamp > chosen.closed_at as is_after_closing,
        chosen.picked_up_at
    from chosen
    inner join {{ source('b2chat', 'messages') }} as message
        on message.chat_id = chosen.chat_id
    where message.superseded_at is null
),

counts as (
    select
        told.chat_id,
        count(*) filter (where told.incoming)::integer as messages_in,
        count(*) filter (where not told.incoming and not told.broadcasted)::integer as messages_out,
        count(*) filter (where told.broadcasted)::integer as broadcast_messages,
        count(*) filter (where told.type <> 'text')::integer as media_messages,
        count(*) filter (where told.type <> 'text' and told.media_backed_up)::integer as media_backed_up,
        min(told.sent_at) as first_message_at,
        max(told.sent_at) as last_message_at,
        max(told.sent_at) filter (where told.incoming) as last_incoming_at,
        min(told.sent_at) filter (where not told.incoming) as first_outgoing_at,
        (array_agg(
            case when told.incoming then 'inbound' when told.broadcasted then 'broadcast' else 'outbound' end
            order by told.sent_at, told.position, told.id
        ))[1] as direction,
        (array_agg(told.text::integer order by told.sent_at desc, told.position desc, told.id desc) filter (
            where told.is_after_closing and told.incoming and told.text in ('1', '2', '3', '4', '5')
        ))[1] as survey_rating
    from told
    group by told.chat_id
),

-- What follows the closing is farewell and survey; a broadcast is no part of the talk.
conversation as (
    select
        told.chat_id,
        told.sent_at,
        told.incoming,
        told.text,
        told.picked_up_at,
        told.position,
        told.id,
        lag(told.sent_at) over in_order as previous_at,
        told.incoming is distinct from lag(told.incoming) over in_order as begins_run
    from told
    where told.is_after_closing is not true and not told.broadcasted
    window in_order as (partition by told.chat_id order by told.sent_at, told.position, told.id)
),

numbered as (
    select
        conversation.*,
        count(*) filter (where conversation.begins_run) over (
            partition by conversation.chat_id order by conversation.sent_at, conversation.position, conversation.id
        ) as run
    from conversation
),

talk as (
    select
        numbered.chat_id,
        (array_agg(numbered.incoming order by numbered.sent_at desc, numbered.position desc, numbered.id desc))[1]
            as last_message_incoming,
        (array_agg(numbered.text order by numbered.sent_at desc, numbered.position desc, numbered.id desc))[1]
            as last_text,
        max(numbered.sent_at) as last_at,
        min(numbered.sent_at) filter (where numbered.incoming) as first_incoming_at,
        count(distinct numbered.run) filter (where not numbered.incoming and numbered.sent_at >= numbered.picked_up_at)
            ::integer as touches,
        max(extract(epoch from numbered.sent_at - numbered.previous_at))
            filter (where numbered.previous_at >= numbered.picked_up_at)::double precision as longest_silence_seconds,
        range_agg(
            tstzrange(numbered.sent_at - interval '2 minutes', numbered.sent_at + interval '2 minutes')
        ) as active_spans
    from numbered
    group by numbered.chat_id
),

replies as (
    select
        turn.chat_id,
        count(*)::integer as turns,
        count(turn.reply_at)::integer as answered_turns,
        count(*) filter (where turn.reply_at is null)::integer as unanswered_turns,
        min(turn.reply_at) filter (where turn.turn_number = 1) as first_reply_at,
        avg(turn.reply_seconds) as average_reply_seconds,
        avg(turn.reply_business_seconds) as average_reply_business_seconds,
        max(turn.reply_seconds) as longest_reply_seconds,
        max(turn.reply_business_seconds) as longest_reply_business_seconds,
        avg(turn.reply_seconds) filter (where not turn.replied_before_pickup) as average_agent_reply_seconds,
        sum(turn.reply_seconds) as customer_wait_seconds
    from {{ ref('message_turns') }} as turn
    inner join chosen
        on chosen.chat_id = turn.chat_id and chosen.created_day = turn.created_day
    group by turn.chat_id
),

changes as (
    select
        change.chat_id,
        change.field,
        change.old,
        change.new,
        change.seen_before,
        change.seen_at,
        change.field = 'status' and upper(btrim(change.old)) in {{ closed_words }} as was_closed,
        change.field = 'status' and upper(btrim(change.new)) in {{ closed_words }} as became_closed,
        change.field = 'status' and upper(btrim(change.new)) in {{ open_words }} as became_open
    from chosen
    inner join {{ source('ops', 'chat_history') }} as change
        on change.chat_id = chosen.chat_id
),

history as (
    select
        changes.chat_id,
        count(*) filter (where changes.was_closed and changes.became_open)::integer as reopens,
        count(*) filter (where changes.field = 'agent' and changes.old is not null and changes.new is not null)::integer
            as agent_transfers,
        count(*) filter (where changes.field = 'department' and changes.old is not null and changes.new is not null)
            ::integer as department_transfers,
        bool_or(
            changes.field = 'status' and 'BOT_CHATTING' in (upper(btrim(changes.old)), upper(btrim(changes.new)))
        ) as passed_bot,
        (array_agg(
            case when changes.was_closed is not true then changes.seen_before end order by changes.seen_at
        ) filter (where changes.was_closed or changes.became_closed))[1] as first_closed_after_at,
        (array_agg(
            case when changes.was_closed then changes.seen_before else changes.seen_at end order by changes.seen_at
        ) filter (where changes.was_closed or changes.became_closed))[1] as first_closed_by_at
    from changes
    group by changes.chat_id
),

directed as (
    select
        chosen.*,
        case when chosen.is_closed then chosen.closed_at end as finished_at,
        counts.chat_id is not null as has_messages,
        coalesce(
            counts.direction,
            case when chosen.picked_up_at = chosen.opened_at then 'outbound' end,
            'unknown'
        ) as direction,
        case
            when counts.chat_id is not null then 'first message'
            when chosen.picked_up_at = chosen.opened_at then 'picked up at once'
            else 'nothing tells'
        end as direction_basis
    from chosen
    left join counts
        on counts.chat_id = chosen.chat_id
),

-- The three promises, made to customers who wrote. A clock stops where it ends, or where the chat closes without that.
clocks as (
    select
        directed.chat_id,
        directed.calendar,
        clock.name as clock,
        clock.started_at,
        clock.ended_at is not null as has_ended,
        coalesce(clock.ended_at, directed.finished_at) as stopped_at,
        promise.policy,
        promise.version,
        promise.target_seconds::double precision as target_seconds,
        promise.in_business_hours
    from directed
    cross join lateral (
        values
        ('pickup', directed.opened_at, directed.picked_up_at),
        ('first_response', directed.created_at, directed.response_at),
        ('resolution', directed.created_at, directed.finished_at)
    ) as clock (name, started_at, ended_at)
    cross join lateral (
        select
            policy.policy,
            policy.version,
            policy.target_seconds,
            policy.in_business_hours
        from {{ source('ops', 'sla_policies') }} as policy
        where policy.clock = clock.name
            and tstzrange(policy.valid_from, policy.valid_to) @> directed.created_at
            and (policy.priority is null or policy.priority = directed.priority)
            and (policy.channel is null or policy.channel = directed.provider)
        order by policy.priority is null, policy.channel is null
        limit 1
    ) as promise
    where directed.direction = 'inbound'
),

measured as (
    select
        clocks.*,
        case
            when clocks.stopped_at < clocks.started_at then null
            when clocks.in_business_hours
                then ops.business_seconds(clocks.calendar, clocks.started_at, clocks.stopped_at)::double precision
            else extract(epoch from clocks.stopped_at - clocks.started_at)::double precision
        end as elapsed_seconds
    from clocks
),

verdicts as (
    select
        measured.*,
        case
            when measured.has_ended then measured.elapsed_seconds <= measured.target_seconds
            when measured.elapsed_seconds > measured.target_seconds then false
        end as met
    from measured
),

-- Seconds on the clock on the wall; what would be negative cannot be right, so it is not known.
timed as (
    select
        directed.chat_id,
        case when directed.picked_up_at >= directed.opened_at
            then extract(epoch from directed.picked_up_at - directed.opened_at)::double precision
        end as queue_wait_seconds,
        case when directed.response_at >= directed.created_at
            then extract(epoch from directed.response_at - directed.created_at)::double precision
        end as first_response_seconds,
        case when directed.response_at >= directed.opened_at
            then extract(epoch from directed.response_at - directed.opened_at)::double precision
        end as first_response_from_opening_seconds,
        case when directed.response_at >= directed.picked_up_at
            then extract(epoch from directed.response_at - directed.picked_up_at)::double precision
        end as first_response_after_pickup_seconds,
        case when directed.finished_at >= directed.created_at
            then extract(epoch from directed.finished_at - directed.created_at)::double precision
        end as resolution_seconds,
        ops.business_seconds(directed.calendar, directed.created_at, directed.finished_at)::double precision
            as resolution_business_seconds,
        case when directed.finished_at >= directed.picked_up_at
            then extract(epoch from directed.finished_at - directed.picked_up_at)::double precision
        end as handle_seconds,
        case
            when directed.picked_up_at <= coalesce(directed.finished_at, 'infinity')
                then talk.active_spans * tstzmultirange(tstzrange(directed.picked_up_at, directed.finished_at))
        end as active_spans
    from directed
    left join talk
        on talk.chat_id = directed.chat_id
)

select
    directed.chat_id,
    directed.b2chat_id,
    directed.created_day,
    (directed.finished_at at time zone '{{ var("time_zone") }}')::date as closed_day,
    directed.created_at,
    directed.opened_at,
    directed.picked_up_at,
    directed.response_at,
    directed.closed_at,
    directed.agent_id,
    directed.contact_id,
    directed.department_id,
    directed.provider,
    directed.alias,
    directed.priority,
    directed.tags,
    directed.status,
    directed.raw_status,
    directed.is_agent_available,
    directed.is_closed,
    directed.direction,
    directed.direction_basis,
    directed.has_messages,
    array_remove(array[
        case when directed.response_at < directed.created_at then 'response_before_created' end,
        case when directed.picked_up_at < directed.opened_at then 'picked_up_before_opened' end,
        case when directed.response_at < directed.picked_up_at then 'response_before_picked_up' end,
        case when directed.closed_at < directed.created_at then 'closed_before_created' end,
        case when directed.closed_at < directed.picked_up_at then 'closed_before_picked_up' end,
        case when directed.closed_at < directed.response_at then 'closed_before_response' end
    ], null) as clock_anomalies,
    cardinality(directed.time_flags) > 0 as has_uncertain_time,
    directed.calendar,
    opening.next_at > directed.created_at as created_outside_hours,
    extract(epoch from opening.next_at - directed.created_at)::double precision as wait_until_opening_seconds,
    bot.passed_bot,
    case
        when bot.passed_bot and directed.opened_at > directed.created_at
            then extract(epoch from directed.opened_at - directed.created_at)::double precision
    end as bot_seconds,
    timed.queue_wait_seconds,
    ops.business_seconds(directed.calendar, directed.opened_at, directed.picked_up_at)::double precision
        as queue_wait_business_seconds,
    timed.first_response_seconds,
    ops.business_seconds(directed.calendar, directed.created_at, directed.response_at)::double precision
        as first_response_business_seconds,
    timed.first_response_from_opening_seconds,
    ops.business_seconds(directed.calendar, directed.opened_at, directed.response_at)::double precision
        as first_response_from_opening_business_seconds,
    timed.first_response_after_pickup_seconds,
    ops.business_seconds(directed.calendar, directed.picked_up_at, directed.response_at)::double precision
        as first_response_after_pickup_business_seconds,
    replies.first_reply_at,
    case
        when not directed.has_messages or coalesce(replies.first_reply_at, directed.response_at) is null then null
        else coalesce(abs(extract(epoch from replies.first_reply_at - directed.response_at)) <= 60, false)
    end as first_response_confirmed,
    timed.resolution_seconds,
    timed.resolution_business_seconds,
    case when coalesce(history.reopens, 0) = 0 then timed.resolution_seconds end as first_resolution_seconds,
    case when coalesce(history.reopens, 0) = 0 then timed.resolution_business_seconds end
        as first_resolution_business_seconds,
    case when history.reopens > 0 then history.first_closed_after_at end as first_closed_after_at,
    case when history.reopens > 0 then history.first_closed_by_at end as first_closed_by_at,
    coalesce(history.reopens, 0) as reopens,
    coalesce(history.agent_transfers, 0) as agent_transfers,
    coalesce(history.department_transfers, 0) as department_transfers,
    timed.handle_seconds,
    case
        when timed.active_spans is not null and timed.handle_seconds is not null then (
            select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)::double precision
            from unnest(timed.active_spans) as span
        )
    end as handle_active_seconds,
    timed.active_spans,
    counts.messages_in,
    counts.messages_out,
    counts.broadcast_messages,
    counts.media_messages,
    counts.media_backed_up,
    counts.first_message_at,
    counts.last_message_at,
    talk.last_message_incoming,
    case when directed.has_messages then coalesce(replies.turns, 0) end as turns,
    case when directed.has_messages then coalesce(replies.answered_turns, 0) end as answered_turns,
    case when directed.has_messages then coalesce(replies.unanswered_turns, 0) end as unanswered_turns,
    replies.average_reply_seconds,
    replies.longest_reply_seconds,
    replies.average_reply_business_seconds,
    replies.longest_reply_business_seconds,
    replies.average_agent_reply_seconds,
    replies.customer_wait_seconds,
    replies.customer_wait_seconds / nullif(timed.resolution_seconds, 0) as customer_wait_share,
    spoken.touches,
    case
        when directed.is_closed and directed.has_messages
            then spoken.touches = 1 and coalesce(history.reopens, 0) = 0
    end as is_one_touch,
    case
        when not directed.is_closed then null
        when directed.picked_up_at is not null then false
        when directed.has_messages then coalesce(talk.last_message_incoming, false)
    end as is_abandoned_in_queue,
    case
        when directed.is_closed and directed.has_messages then coalesce(
            not talk.last_message_incoming
            and talk.last_at >= directed.picked_up_at
            and position('?' in talk.last_text) > 0
            and directed.closed_at >= talk.last_at + interval '24 hours',
            false
        )
    end as is_abandoned_by_customer,
    case
        when directed.direction <> 'inbound' or directed.is_agent_available is null then null
        when directed.is_agent_available then false
        when directed.response_at is null and directed.is_closed then true
        else not first_response.met
    end as is_missed,
    case
        when directed.direction in ('outbound', 'broadcast') and talk.first_incoming_at >= counts.first_outgoing_at
            then extract(epoch from talk.first_incoming_at - counts.first_outgoing_at)::double precision
    end as customer_first_reply_seconds,
    talk.longest_silence_seconds,
    case when directed.provider = 'whatsapp' then counts.last_incoming_at + interval '24 hours' end
        as whatsapp_window_closes_at,
    case word.status
        when 'COMPLETING_POLL' then 'pending'
        when 'COMPLETED_POLL' then 'completed'
        when 'ABANDONED_POLL' then 'abandoned'
    end as survey_status,
    case when word.status = 'COMPLETED_POLL' then counts.survey_rating end as survey_rating,
{%- for clock in ['pickup', 'first_response', 'resolution'] %}
    {{ clock }}.policy as sla_{{ clock }}_policy,
    {{ clock }}.version as sla_{{ clock }}_version,
    {{ clock }}.target_seconds as sla_{{ clock }}_target_seconds,
    {{ clock }}.in_business_hours as sla_{{ clock }}_business,
    {{ clock }}.elapsed_seconds as sla_{{ clock }}_elapsed_seconds,
    {{ clock }}.met as sla_{{ clock }}_met,
{%- endfor %}
    case
        when directed.direction <> 'inbound' then null
        when directed.response_at is null and directed.is_closed then 0
        when directed.response_at is null or first_response.elapsed_seconds is null then null
        else 100 * greatest(0, least(1,
            (4 * first_response.target_seconds - first_response.elapsed_seconds) / (3 * first_response.target_seconds)
        ))
    end as response_time_score
from directed
inner join timed
    on timed.chat_id = directed.chat_id
left join counts
    on counts.chat_id = directed.chat_id
left join talk
    on talk.chat_id = directed.chat_id
left join replies
    on replies.chat_id = directed.chat_id
left join history
    on history.chat_id = directed.chat_id
left join verdicts as pickup
    on pickup.chat_id = directed.chat_id and pickup.clock = 'pickup'
left join verdicts as first_response
    on first_response.chat_id = directed.chat_id and first_response.clock = 'first_response'
left join verdicts as resolution
    on resolution.chat_id = directed.chat_id and resolution.clock = 'resolution'
cross join lateral (select upper(btrim(directed.raw_status)) as status) as word
cross join lateral (
    select case when word.status = 'BOT_CHATTING' or history.passed_bot then true end as passed_bot
) as bot
cross join lateral (
    select case when directed.has_messages then coalesce(talk.touches, 0) end as touches
) as spoken
cross join lateral (select ops.next_opening(directed.calendar, directed.created_at) as next_at) as opening
