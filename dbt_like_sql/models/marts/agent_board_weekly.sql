-- A row per agent and week of creation, Monday to Sunday, account-local; weeks are named by their Monday.
-- Population: chats created that week, by their agent now; first response and SLA of the inbound ones. Each figure
-- stands beside the number of chats it is made of, each share with Wilson's bounds at 95 % (1.96 standard errors).
-- A week depends on its seven days, hence a plain table.
{{ config(materialized='table') }}

with agents as (
    select agent_id, date_trunc('week', created_day::timestamp)::date as week,
           count(*) as chats,
           count(*) filter (where is_closed) as closed,
           count(first_response_seconds) filter (where direction = 'inbound') as first_response_n,
           percentile_cont(array[0.5, 0.9]) within group (order by first_response_seconds)
               filter (where direction = 'inbound') as first_response,
           count(handle_seconds) as handle_n,
           percentile_cont(0.5) within group (order by handle_seconds) as handle_median_seconds,
           count(sla_first_response_met) as sla_n,
           avg(sla_first_response_met::integer)::double precision as sla_share,
           avg((reopens > 0)::integer) filter (where is_closed or reopens > 0)::double precision as reopened_share,
           count(*) filter (where is_closed or reopens > 0) as reopened_n,
           count(survey_rating) as rating_n,
           avg(survey_rating)::double precision as mean_rating,
           avg((survey_rating >= 4)::integer)::double precision as top_two_share
      from {{ ref('chat_metrics') }}
     where agent_id is not null
     group by agent_id, week
),

-- Wilson's interval of each share: centre -+ half its width.
intervals as (
    select board.agent_id, board.week, interval.measure,
           (interval.share + 1.9208 / interval.n) / (1 + 3.8416 / interval.n) as centre,
           1.96 * sqrt(interval.share * (1 - interval.share) / interval.n + 0.9604 / interval.n ^ 2)
               / (1 + 3.8416 / interval.n) as half
      from agents as board
     cross join lateral (
        values
            ('sla', board.sla_share, board.sla_n::double precision),
            ('reopened', board.reopened_share, board.reopened_n::double precision),
            ('top_two', board.top_two_share, board.rating_n::double precision)
     ) as interval (measure, share, n)
     where interval.n > 0
)

select board.agent_id, board.week, board.chats, board.closed,
       board.first_response_n, board.first_response[1] as first_response_median_seconds,
       board.first_response[2] as first_response_p90_seconds,
       board.handle_n, board.handle_median_seconds,
       board.sla_n, board.sla_share, sla.centre - sla.half as sla_share_low, sla.centre + sla.half as sla_share_high,
       board.reopened_n, board.reopened_share, reopened.centre - reopened.half as reopened_share_low,
       reopened.centre + reopened.half as reopened_share_high,
       board.rating_n, board.mean_rating, board.top_two_share, top_two.centre - top_two.half as top_two_share_low,
       top_two.centre + top_two.half as top_two_share_high
  from agents as board
  left join intervals as sla
    on sla.agent_id = board.agent_id and sla.week = board.week and sla.measure = 'sla'
  left join intervals as reopened
    on reopened.agent_id = board.agent_id and reopened.week = board.week and reopened.measure = 'reopened'
  left join intervals as top_two
    on top_two.agent_id = board.agent_id and top_two.week = board.week and top_two.measure = 'top_two'
