-- A row per chat, duration and form; of next_reply and next_agent_reply a row per customer turn.
-- Waiting for an answer is asked of inbound chats only, the customer's first reply only of the others.
{{ config(materialized='view') }}

with chat_forms as (
    select chat.chat_id, chat.created_day, chat.is_closed, duration.metric, duration.form, duration.seconds
      from {{ ref('chat_metrics') }} as chat
     cross join lateral (
        values
            ('queue_wait', 'calendar', chat.direction = 'inbound', chat.queue_wait_seconds),
            ('queue_wait', 'business', chat.direction = 'inbound', chat.queue_wait_business_seconds),
            ('first_response', 'calendar', chat.direction = 'inbound', chat.first_response_seconds),
            ('first_response', 'business', chat.direction = 'inbound', chat.first_response_business_seconds),
            ('first_response_from_opening', 'calendar', chat.direction = 'inbound',
             chat.first_response_from_opening_seconds),
            ('first_response_from_opening', 'business', chat.direction = 'inbound',
             chat.first_response_from_opening_business_seconds),
            ('first_response_after_pickup', 'calendar', chat.direction = 'inbound',
             chat.first_response_after_pickup_seconds),
            ('first_response_after_pickup', 'business', chat.direction = 'inbound',
             chat.first_response_after_pickup_business_seconds),
            ('resolution', 'calendar', true, chat.resolution_seconds),
            ('resolution', 'business', true, chat.resolution_business_seconds),
            ('first_resolution', 'calendar', true, chat.first_resolution_seconds),
            ('first_resolution', 'business', true, chat.first_resolution_business_seconds),
            ('handle', 'calendar', true, chat.handle_seconds),
            ('handle_active', 'calendar', true, chat.handle_active_seconds),
            ('bot', 'calendar', coalesce(chat.passed_bot, false), chat.bot_seconds),
            ('longest_silence', 'calendar', true, chat.longest_silence_seconds),
            ('customer_first_reply', 'calendar', chat.direction in ('outbound', 'broadcast'),
             chat.customer_first_reply_seconds)
     ) as duration (metric, form, applies, seconds)
     where duration.applies
),

turn_forms as (
    select turn.chat_id, turn.created_day, chat.is_closed, duration.metric, duration.form, duration.seconds
      from {{ ref('message_turns') }} as turn
      join {{ ref('chat_metrics') }} as chat on chat.chat_id = turn.chat_id and chat.created_day = turn.created_day
     cross join lateral (
        values
            ('next_reply', 'calendar', true, turn.reply_seconds),
            ('next_reply', 'business', true, turn.reply_business_seconds),
            ('next_agent_reply', 'calendar', turn.replied_before_pickup is not true, turn.reply_seconds),
            ('next_agent_reply', 'business', turn.replied_before_pickup is not true, turn.reply_business_seconds)
     ) as duration (metric, form, applies, seconds)
     where duration.applies
)

select chat_id, created_day, is_closed, metric, form, seconds
  from chat_forms
 union all
select chat_id, created_day, is_closed, metric, form, seconds
  from turn_forms
