-- The same as agent_response_times, straight from the table: for managers, and for days that are not built yet.
-- created_at alone decides which chats are read, so the index on it serves. The mean is taken of intervals: seconds of
-- each chat would be decimal numbers, which take longer to work out and to add up.
select agent_id,
       count(*) as chats,
       count(response_at) filter (where response_at >= created_at) as answered,
       extract(epoch from avg(response_at - created_at) filter (where response_at >= created_at)) as mean_seconds
  from public.chats
 where created_at > now() - interval '30 days'
   and not is_deleted
 group by agent_id;
