-- A row per observed change of a chat: a reopening, or a transfer from one agent or department to another.
-- It happened after changed_after and by changed_by, the two reads between which it was seen; what changes twice between
-- two reads is seen once or not at all, so counts are lower bounds. Population: chats created that day.
-- A day depends on the chats created that day and their history only.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='created_day',
          indexes=[{'columns': ['created_day']}]) }}

with changes as (
    select chat.created_day, chat.chat_id, change.old, change.new,
           change.seen_before as changed_after, change.seen_at as changed_by,
           case
               when change.field = 'agent' then 'agent transfer'
               when change.field = 'department' then 'department transfer'
               when change.field = 'status'
                   and upper(btrim(change.old)) in (
                       'CLOSED', 'COMPLETING_POLL', 'COMPLETED_POLL', 'ABANDONED_POLL', 'CLOSED_BY_CONTACT',
                       'LEFT_BY_CONTACT'
                   )
                   and upper(btrim(change.new)) in ('BOT_CHATTING', 'OPENED', 'PICKED_UP', 'RESPONDED_BY_AGENT')
                   then 'reopening'
           end as kind
      from {{ source('ops', 'chat_history') }} as change
      join {{ ref('chat_metrics') }} as chat on chat.chat_id = change.chat_id
     where change.old is not null
       and change.new is not null
{% if is_incremental() %}
   and created_day between '{{ var("from_day") }}'::date and '{{ var("to_day") }}'::date
{% endif %}
)

select chat_id, kind, created_day, old, new, changed_after, changed_by
  from changes
 where kind is not null
