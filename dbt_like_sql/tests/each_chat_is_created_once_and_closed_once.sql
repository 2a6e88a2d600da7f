-- Over all hours as many chats are created and closed as there are, and the net flow is what is still open.
with flow as (
    select coalesce(sum(created), 0) as created, coalesce(sum(closed), 0) as closed,
           coalesce(sum(net_flow), 0) as net_flow
      from {{ ref('hourly_volume') }}
),

chats as (
    select count(*) as created, count(closed_day) as closed
      from {{ ref('chat_metrics') }}
)

select flow.created, flow.closed, flow.net_flow, chats.created as chats, chats.closed as closed_chats
  from flow
 cross join chats
 where flow.created <> chats.created
    or flow.closed <> chats.closed
    or flow.net_flow <> chats.created - chats.closed
