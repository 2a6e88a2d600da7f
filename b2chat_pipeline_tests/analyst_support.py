"""A small account with everything built: what analysts and managers look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg import Connection

from b2chat_pipeline.b2chat.contract import CHATS
from b2chat_pipeline.simulator import World
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline.transform.run import run
from b2chat_pipeline.transform.target import Target
from b2chat_pipeline.warehouse.access import grant_access
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests.loading_support import all_loaded, hours_between, running_pipeline
from b2chat_pipeline_tests.postgres import PostgresServer

BOGOTA = ZoneInfo("America/Bogota")
# The days that docs/analysts.md is about.
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 5)
NOW = datetime(2026, 1, 5, 18, tzinfo=UTC)
# Few contacts, so that they come back.
WORLD = World(first_day=FIRST, zone=BOGOTA, chats_per_day=12, contacts=30)
# What the simulator does not invent here: a tree of departments, business hours and targets that count them, chats with
# two tags or with the bot, changes of chats, broadcasts, and what a model judged of
# some and was paid for, and people did.
CONFIGURED = """
    update departments set path = '/' || b2chat_code || '/';
    update departments child set parent_id = top.id, path = top.path || child.b2chat_code || '/', level = 1
      from departments top where top.b2chat_code = 'ventas' and child.b2chat_code in ('garantias', 'customer-care');
    insert into ops.calendars values ('default', '2025-01-01', '2028-01-01');
    insert into ops.business_hours
    select 'default', day + interval '13 hours', day + interval '23 hours'
      from generate_series(timestamptz '2025-01-01 00:00Z', '2027-12-31 00:00Z', interval '1 day') day
     where extract(isodow from day at time zone 'UTC') < 6;
    insert into ops.sla_policies (policy, version, clock, channel, target_seconds, in_business_hours) values
        ('whatsapp', 3, 'pickup', 'whatsapp', 90, true),
        ('whatsapp', 3, 'first_response', 'whatsapp', 240, true),
        ('whatsapp', 3, 'resolution', 'whatsapp', 3600, true);
    update chats set tags = array['Envío', 'Zorro'] where id in (select id from chats order by md5(id) limit 9);
    update chats set status = 'pending', raw_status = 'BOT_CHATTING', closed_at = null, picked_up_at = null
     where id in (select id from chats order by md5(id) desc limit 4);
    insert into ops.chat_history (chat_id, field, old, new, seen_before, seen_at, sync_id)
    select id, 'status', 'CLOSED', 'PICKED_UP', closed_at, closed_at + interval '3 hours', 'a sync'
      from (select * from chats where closed_at is not null order by md5(id) limit 5) as reopened;
    insert into messages (id, chat_id, text, type, raw_type, incoming, broadcasted, timestamp, position)
    select 'broadcast to ' || id, id, 'Promo', 'text', 'TEXT', false, true, created_at - interval '1 hour', -1
      from chats where messages_told and md5(id) > 'c';
    insert into effectiveness_analysis (id, chat_id, user_id, effectiveness_score, response_time_score,
                                        resolution_score, customer_satisfaction, analysis_data)
    select 'score of ' || id, id, (select min(id) from users), 60 + ascii(md5(id)) % 40, 80, 75, 70,
           jsonb_build_object(
               'model', 'simulated-judge', 'prompt_version', '1', 'rubric_version', '1', 'language', 'es',
               'satisfaction_basis', 'messages', 'analyzed_messages', 8, 'voided_criteria', '{}'::jsonb,
               'resolution_details', jsonb_build_object('matter_settled', jsonb_build_object(
                   'level', ascii(md5(id)) % 5 * 25)),
               'sentiment_analysis', jsonb_build_object('criteria', '{}'::jsonb))
      from chats where status = 'closed' and md5(id) > '4';
    insert into ops.analysis_labels (chat_id, labeller, rubric_version, labelled_at, levels, resolution, effectiveness,
                                     user_id, imported_at)
    select chat_id, 'A', '1', created_at, jsonb_build_object('matter_settled', ascii(md5(chat_id)) % 4 * 25), 70, 70,
           user_id, created_at
      from effectiveness_analysis;
    insert into ops.analysis_calls (id, chat_id, score_key, attempt, mode, user_id, model, prompt_version,
                                    terms_version, day, state, reserved_usd, cost_usd, outcome, reserved_at)
    select id, chat_id, ''::bytea, 1, 'batch', user_id, 'simulated-judge', '1', 1, '2026-01-05', 'settled', 0.02,
           0.00345678, 'scored', '2026-01-05 12:00Z'
      from effectiveness_analysis;
"""


@dataclass(frozen=True)
class Account:
    """A loaded account with every model built, and the roles of readers."""

    url: str
    target: Target

    def connected(self) -> Connection:
        """A connection of the user that owns everything."""
        return connect(self.url, purpose="compare")


@contextmanager
def built_account(server: PostgresServer) -> Iterator[Account]:
    """The account in a database of its own."""
    target = Target(read_project(models_folder()), {"time_zone": BOGOTA.key})
    with server.copy_of_prepared("built_account", lambda url: _build(url, target)) as url:
        yield Account(url, target)


def _build(url: str, target: Target) -> None:
    with running_pipeline(url, WORLD, now=NOW) as pipeline:
        assert all_loaded(pipeline.load_account(FIRST, LAST))
        pipeline.simulator.clock.advance(timedelta(days=4))
        hours = hours_between(pipeline.clock, FIRST, LAST, until=pipeline.simulator.clock.now())
        assert all_loaded([pipeline.load(CHATS, hours)])
    with connect(url, purpose="compare") as connection:
        connection.execute(CONFIGURED)
        # Before anything is built: what is made later has to be readable too.
        grant_access(connection)
        outcomes = run(connection, target, list(target.project.models), None)
        assert [(it.model.name, it.problem) for it in outcomes if not it.stands] == []
