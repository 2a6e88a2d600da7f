-- No two rows of agent_board_weekly share agent and week.
select agent_id, week
  from {{ ref('agent_board_weekly') }}
 group by agent_id, week
having count(*) > 1
