-- A row per creation day, channel and line. Population on both sides: chats created that day that were seen in the bot.
-- containment = contained / (contained + handed_over); contained: closed and never picked up by a person. Chats whose
-- time with the bot fell between two reads are not seen; those still in hand are n_open.
-- A day depends on the chats created that day only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

select created_day, provider, alias,
       count(*) as chats,
       count(*) filter (where picked_up_at is null and is_closed) as contained,
       count(*) filter (where picked_up_at is not null) as handed_over,
       count(*) filter (where picked_up_at is null and not is_closed) as n_open,
       (count(*) filter (where picked_up_at is null and is_closed))::double precision
           / nullif(count(*) filter (where is_closed or picked_up_at is not null), 0) as containment
  from {{ ref('chat_metrics') }}
 where passed_bot
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
 group by created_day, provider, alias
