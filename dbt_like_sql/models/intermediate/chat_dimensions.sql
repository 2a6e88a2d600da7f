-- A row per chat, dimension and value: what a chat counts for. A value of NULL: the chat has none.
-- A chat counts once for each of its tags, and in department_tree once for its department and each one above it.
{{ config(materialized='view') }}

select chat.chat_id, chat.created_day, place.dimension, place.value
  from {{ ref('chat_metrics') }} as chat
 cross join lateral (
    values
        ('account', null),
        ('agent', chat.agent_id),
        ('department', chat.department_id),
        ('channel', chat.provider),
        ('alias', chat.alias)
 ) as place (dimension, value)
 union all
select chat.chat_id, chat.created_day, 'department_tree', coalesce(above.id, chat.department_id)
  from {{ ref('chat_metrics') }} as chat
  left join {{ source('b2chat', 'departments') }} as own on own.id = chat.department_id
  left join {{ source('b2chat', 'departments') }} as above
    on above.id = own.id or starts_with(own.path, above.path)
 union all
select chat.chat_id, chat.created_day, 'tag', tag.name
  from {{ ref('chat_metrics') }} as chat
  left join lateral (select distinct unnest(chat.tags) as name) as tag on true
