-- Response time by agent, of chats created in the last 30 days: from the creation to the agent's first real answer.
-- Open chats without an answer are counted, not averaged; so are times that are out of order.
select agent.name as agent,
       count(*) as chats,
       count(chat.first_response_seconds) as answered,
       round(avg(chat.first_response_seconds)) as mean_seconds,
       round(percentile_cont(0.5) within group (order by chat.first_response_seconds)) as median_seconds,
       round(percentile_cont(0.9) within group (order by chat.first_response_seconds)) as p90_seconds
  from analytics.chat_metrics as chat
  join analytics.masked_agents as agent on agent.agent_id = chat.agent_id
 where chat.direction = 'inbound'
   and chat.created_day > current_date - 30
 group by agent.agent_id, agent.name
 order by median_seconds desc nulls last;
