"""Which chats can be scored, and of the others, why not.

Here belong the conditions. Not here: whether a chat was scored before (`ledger.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection, errors

from b2chat_pipeline.analysis.scores import ResponseClock
from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.windows import Window

# A chat is left alone so long: customers come back, and late messages are read again.
QUIET = timedelta(hours=24)
FEWEST_WORDS = 10
# About 50,000 tokens: beyond that no conversation is one any more.
MOST_CHARACTERS = 200_000

NOT_MEASURED = "metrics not built: run `b2chat build`"

# The first reason that holds is the one a chat is counted by. The response clock is that of chat_metrics where a
# promise was made; a chat that the company began is measured by what would have been promised.
_CANDIDATES = """
    with closed as (
        select c.id, c.closed_at, c.created_at, c.response_at, c.priority, c.provider::text as provider, c.messages_told
          from chats c
         where c.closed_at >= %(start)s and c.closed_at < %(end)s
           and c.status in ('closed', 'unknown') and not c.is_deleted
    ), said as (
        select m.chat_id,
               bool_or(m.incoming) as by_customer,
               bool_or(not m.incoming and m.broadcasted is not true) as by_company,
               sum(cardinality(regexp_split_to_array(btrim(s.text), '\\s+')))
                   filter (where s.text <> '' and m.broadcasted is not true) as words,
               sum(length(s.text)) as characters
          from messages m
          join closed on closed.id = m.chat_id
         cross join lateral (select btrim(coalesce(case when m.type = 'text' then m.text else m.caption end, ''),
                                          E' \\t\\r\\n')) as s(text)
         where m.superseded_at is null
         group by m.chat_id
    ), timed as (
        select closed.*, said.chat_id is not null as is_told, said.by_customer, said.by_company,
               coalesce(said.words, 0) as words, coalesce(said.characters, 0) as characters,
               metric.chat_id is not null as is_measured, metric.answered_turns, promise.target_seconds,
               case when promise.in_business_hours then metric.first_response_business_seconds
                    else metric.first_response_seconds end as elapsed_seconds
          from closed
          left join said on said.chat_id = closed.id
          left join analytics.chat_metrics metric on metric.chat_id = closed.id
          left join lateral (
              select coalesce(metric.sla_first_response_target_seconds, policy.target_seconds) as target_seconds,
                     coalesce(metric.sla_first_response_business, policy.in_business_hours) as in_business_hours
                from ops.sla_policies policy
               where policy.clock = 'first_response'
                 and tstzrange(policy.valid_from, policy.valid_to) @> closed.created_at
                 and (policy.priority is null or policy.priority = closed.priority::text)
                 and (policy.channel is null or policy.channel = closed.provider)
               order by policy.priority is null, policy.channel is null
               limit 1
          ) promise on true
    )
    select id, target_seconds::float8, elapsed_seconds, coalesce(answered_turns, 0), closed_at, case
               when closed_at > %(quiet)s then 'closed less than 24 hours ago'
               when not is_told then 'no messages told'
               when not by_customer then 'no message from the customer'
               when response_at is null then 'never answered by an agent'
               when not by_company then 'only broadcasts from the company'
               when words < %(fewest)s then 'fewer than ten words'
               when characters > %(most)s then 'too long'
               when not is_measured then %(not_measured)s
               when elapsed_seconds is null then 'time of the first response not known'
           end
      from timed
     order by closed_at, id
"""


class MetricsMissingError(OperatorError):
    """The metrics that scoring rests on were never built."""


@dataclass(frozen=True)
class Candidate:
    """A chat that can be scored, with the facts that the messages do not tell."""

    chat_id: str
    clock: ResponseClock
    # Runs of the customer's messages that somebody answered.
    answered_turns: int
    closed_at: datetime


@dataclass(frozen=True)
class Eligibility:
    """The closed chats of a window: those that can be scored, in order of closing, and the others by reason."""

    candidates: Sequence[Candidate]
    reasons: Mapping[str, int]

    @property
    def chats(self) -> int:
        """All closed chats of the window."""
        return len(self.candidates) + sum(self.reasons.values())


def eligible(connection: Connection, window: Window, now: datetime) -> Eligibility:
    """The chats closed within a window, judged at `now`. Raises MetricsMissingError."""
    values = {
        "start": window.start,
        "end": window.end,
        "quiet": now - QUIET,
        "fewest": FEWEST_WORDS,
        "most": MOST_CHARACTERS,
        "not_measured": NOT_MEASURED,
    }
    try:
        rows = connection.execute(_CANDIDATES, values)
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        raise MetricsMissingError(
            "scoring needs the model chat_metrics, which is not there: run `b2chat build`, then this again."
        ) from None
    candidates: list[Candidate] = []
    reasons: Counter[str] = Counter()
    for chat_id, target, elapsed, answered, closed_at, reason in rows:
        if reason is None:
            candidates.append(Candidate(chat_id, ResponseClock(elapsed, target), answered, closed_at))
        else:
            reasons[reason] += 1
    return Eligibility(candidates, reasons)
