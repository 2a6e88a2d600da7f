-- Which chats count, on which day, and by which calendar: the one place both core models start from.
{{ config(materialized='view') }}

select
    chat.id as chat_id,
    chat.b2chat_id,
    (chat.created_at at time zone '{{ var("time_zone") }}')::date as created_day,
    chat.created_at,
    chat.opened_at,
    chat.picked_up_at,
    chat.response_at,
    chat.closed_at,
    chat.agent_id,
    chat.contact_id,
    chat.department_id,
    chat.provider::text as provider,
    chat.alias,
    chat.priority::text as priority,
    chat.tags,
    chat.status::text as status,
    chat.raw_status,
    chat.is_agent_available,
    chat.time_flags,
    case chat.status::text
        when 'closed' then true
        when 'unknown' then chat.closed_at is not null
        else false
    end as is_closed,
    coalesce(own.calendar, fallback.calendar) as calendar
from {{ source('b2chat', 'chats') }} as chat
left join {{ source('b2chat', 'departments') }} as department
    on department.id = chat.department_id
left join {{ source('ops', 'department_calendars') }} as own
    on own.department = department.name
    and tstzrange(own.valid_from, own.valid_to) @> chat.created_at
left join {{ source('ops', 'calendars') }} as fallback
    on fallback.calendar = 'default'
where not chat.is_deleted
