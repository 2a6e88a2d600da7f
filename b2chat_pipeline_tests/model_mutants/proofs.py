"""Who notices a wrong model: the computations without SQL that the tests use, held against the query of a mutant.

Nothing is built: a mutant's query is run as it is, and where a model has no computation of its own, inside the queries
of the models that read it and have one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import psycopg
from hypothesis import HealthCheck, Phase, given, seed, settings
from psycopg import Connection

from b2chat_pipeline.transform.build import build
from b2chat_pipeline.transform.models import Model, ModelError, Project
from b2chat_pipeline.transform.target import Days, Target
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline_tests import test_live_views
from b2chat_pipeline_tests.mart_reference import REFERENCES, Account, read_account, table_rows
from b2chat_pipeline_tests.mart_reference.account import Row
from b2chat_pipeline_tests.mart_reference.promises import CALM, sla_breaches_if_calm, sla_clocks_if_calm
from b2chat_pipeline_tests.mart_reference.scores import (
    SINCE_MEASURED,
    effectiveness_daily_since,
    scoring_candidates_since,
)
from b2chat_pipeline_tests.mart_support import (
    BOGOTA,
    FIRST,
    UNTIL_APRIL,
    VARIABLES,
    Keyed,
    Warehouse,
    differences,
    keyed,
    loaded_warehouse,
)
from b2chat_pipeline_tests.mart_support import build as build_all
from b2chat_pipeline_tests.metric_reference import Chat, Rules, metrics_of, turns_of
from b2chat_pipeline_tests.metric_support import CORE, build_core, measured, store, turns
from b2chat_pipeline_tests.metric_support import differences as differing
from b2chat_pipeline_tests.model_mutants.mutations import of_days
from b2chat_pipeline_tests.model_mutants.nulls import never_null
from b2chat_pipeline_tests.postgres import PostgresServer
from b2chat_pipeline_tests.test_core_models import DEFAULT, NEW_YORK, RULES, UNLIKELY, chats, configured_warehouse
from b2chat_pipeline_tests.test_live_views import VIEWS
from b2chat_pipeline_tests.test_metrics_page import ZONES, contradictions, stored_section

ALL_DAYS = Days(date(2000, 1, 1), date(2099, 12, 31))
# Of the loaded account: not the first ones, not the last ones.
_SOME_DAYS = Days(FIRST + timedelta(days=4), FIRST + timedelta(days=5))
_MADE_UP = 400
_UNCONFIGURED = 60
# A lost join makes millions of rows; no model has as many here.
_AT_MOST = 100_000
References = Mapping[str, Callable[[Account], list[Row]]]


class Refused(Exception):  # noqa: N818 - nothing went wrong
    """A mutant that PostgreSQL does not take as a query."""


class Proof(Protocol):
    """Notices what is wrong with some models."""

    def knows(self, model: Model) -> bool:
        """Whether it has anything to say of a model."""

    def refutes(self, model: Model, sql: str) -> bool:
        """Whether a query in the place of a model's own is found to be wrong. Raises psycopg.Error."""


class Proofs:
    """Everything that is known of the models, and a database to ask about queries."""

    def __init__(self, connection: Connection, proofs: Sequence[Proof], project: Project) -> None:
        self._connection = connection
        self._proofs = proofs
        self._project = project

    def target_of(self, model: Model) -> Target:
        """Where its mutants are rendered."""
        return Target(self._project, {"time_zone": NEW_YORK.key} if model.name in CORE else VARIABLES)

    def types(self, query: str) -> list[int]:
        """The types of a query's columns."""
        with _asked(self._connection):
            told = self._connection.execute(f"select * from ({query}) as told limit 0".encode())  # noqa: S608
            return [column.type_code for column in told.description or ()]

    def never_null(self, model: Model) -> set[str]:
        """The columns that a model and what it reads always tell, by name."""
        return never_null(self._connection, self._project, model)

    def know(self, model: Model) -> bool:
        """Whether anybody would notice anything."""
        return any(proof.knows(model) for proof in self._proofs)

    def refute(self, model: Model, sql: str) -> bool:
        """Whether a query is found to be wrong; one that fails when it runs is. Raises Refused."""
        try:
            return any(proof.refutes(model, sql) for proof in self._proofs if proof.knows(model))
        except psycopg.Error as error:
            # Syntax, types and unknown names are PostgreSQL's class 42.
            if (error.sqlstate or "").startswith("42"):
                raise Refused from error
            return True


@contextmanager
def _asked(connection: Connection) -> Iterator[None]:
    """Forgets what is done inside, and waits for nothing long."""
    with connection.transaction(force_rollback=True):
        connection.execute("set local statement_timeout = '20s'")
        yield


def _bounded(query: str) -> str:
    return f"select * from ({query}) as told limit {_AT_MOST}"  # noqa: S608 - a query is what this is about


class Marts:
    """A loaded account, and plain Python's marts of it."""

    def __init__(
        self, connection: Connection, project: Project, account: Account, references: References = REFERENCES
    ) -> None:
        self._connection = connection
        self._target = Target(project, VARIABLES)
        self._account = account
        self._references = references
        self._wanted: dict[tuple[str, Days | None], Keyed] = {}

    def knows(self, model: Model) -> bool:
        """Every mart that is no live view, and what they are made of, but for the core models."""
        return model.name not in CORE and bool(self._subjects(model))

    def refutes(self, model: Model, sql: str) -> bool:
        """Whether a mart is another one with it, built whole or for some days."""
        return any(self._differs(subject, model, sql) for subject in self._subjects(model))

    def _differs(self, subject: Model, model: Model, sql: str) -> bool:
        query = self._query(subject, model, sql)
        if self._is_wrong(subject, query, None):
            return True
        return subject is model and bool(model.day_column) and self._is_wrong(subject, query, _SOME_DAYS)

    def _is_wrong(self, subject: Model, query: str, days: Days | None) -> bool:
        with _asked(self._connection):
            found = table_rows(self._connection, _bounded(of_days(query, days)))
        try:
            return bool(differences(keyed(found), self._rows(subject, days)))
        except AssertionError:
            # Rows that nothing tells apart.
            return True

    def _rows(self, subject: Model, days: Days | None) -> Keyed:
        if (subject.name, days) not in self._wanted:
            rows = self._references[subject.name](self._account)
            if subject.day_column and days:
                rows = [row for row in rows if days.first <= row[subject.day_column] <= days.last]
            self._wanted[subject.name, days] = keyed(rows)
        return self._wanted[subject.name, days]

    def _subjects(self, model: Model) -> list[Model]:
        """The models with a computation whose rows it decides: itself, or those that read it."""
        if model.name in self._references:
            return [model]
        read_by = (it for it in self._target.project.models.values() if model.name in it.refs)
        return list({subject.name: subject for it in read_by for subject in self._subjects(it)}.values())

    def _query(self, subject: Model, model: Model, sql: str) -> str:
        """The rows of a subject, with the query in the place of the model."""
        if subject is model:
            return sql
        project = self._target.project

        def ref(name: str) -> str:
            decided = model.name in project.ancestors(name) and name not in self._references
            if name == model.name or decided:
                return f"({self._query(project.models[name], model, sql)})"
            return self._target.relation(name)

        return self._target.sql_over(subject, ref)


class _Core:
    """What a database of chats says of them in the core models, one of which is another query."""

    def __init__(self, connection: Connection, project: Project, zone: str) -> None:
        self._connection = connection
        self._target = Target(project, {"time_zone": zone})

    def told(self, model: Model, sql: str) -> tuple[dict[str, Row] | None, dict[str, list[Row]] | None]:
        """The rows of chat_metrics and of message_turns, as far as the model decides them."""
        metrics = self._query("chat_metrics", model, sql)
        of_turns = self._query("message_turns", model, sql)
        with _asked(self._connection):
            return (
                measured(self._connection, metrics) if metrics else None,
                turns(self._connection, of_turns) if of_turns else None,
            )

    def _query(self, name: str, model: Model, sql: str) -> str | None:
        if name == model.name:
            return _bounded(sql)
        if model.name != "counted_chats":
            return None
        relation = self._target.relation
        subject = self._target.project.models[name]
        return _bounded(self._target.sql_over(subject, lambda ref: f"({sql})" if ref == model.name else relation(ref)))


class MadeUpChats:
    """Chats that are made up, and a slow computation of what each one tells."""

    def __init__(self, connection: Connection, project: Project, made: Sequence[Chat], rules: Rules) -> None:
        store(connection, made)
        build_core(connection, NEW_YORK.key)
        self._core = _Core(connection, project, NEW_YORK.key)
        counted = [chat for chat in made if not chat.is_deleted]
        self._days = {chat.key: chat.created.astimezone(NEW_YORK).date() for chat in counted}
        self._metrics = {chat.key: metrics_of(chat, rules) for chat in counted}
        self._turns = {chat.key: turns_of(chat, rules) for chat in counted}

    def knows(self, model: Model) -> bool:
        """The core models."""
        return model.name in CORE

    def refutes(self, model: Model, sql: str) -> bool:
        """Whether any chat is measured in another way, built with all others or with those of its day."""
        one_by_one = (Days(day, day) for day in sorted(set(self._days.values())))
        return any(self._differs(model, sql, days) for days in (ALL_DAYS, *one_by_one))

    def _differs(self, model: Model, sql: str, days: Days) -> bool:
        metrics, found = self._core.told(model, of_days(sql, days))
        chosen = {key for key, day in self._days.items() if days.first <= day <= days.last or not model.day_column}
        if metrics is not None and (
            metrics.keys() != chosen or any(differing(self._metrics[key], metrics[key]) for key in chosen)
        ):
            return True
        return found is not None and (
            not found.keys() <= chosen or any(_other_turns(self._turns[key], found.get(key, [])) for key in chosen)
        )


def _other_turns(told: Sequence[Row], found: Sequence[Row]) -> bool:
    return len(told) != len(found) or any(map(differing, told, found))


class ChatsByHand:
    """The chats worked out by hand in docs/metrics.md."""

    def __init__(self, connection: Connection, project: Project, zone: str) -> None:
        build_core(connection, zone)
        self._core = _Core(connection, project, zone)
        self._zone = zone
        self._metrics, self._turns = measured(connection), turns(connection)

    def knows(self, model: Model) -> bool:
        """The core models."""
        return model.name in CORE

    def refutes(self, model: Model, sql: str) -> bool:
        """Whether the page says something else."""
        metrics, found = self._core.told(model, of_days(sql, ALL_DAYS).replace(NEW_YORK.key, self._zone))
        try:
            wrong = contradictions(
                self._zone, self._metrics if metrics is None else metrics, self._turns if found is None else found
            )
        except (AttributeError, LookupError, TypeError, ValueError):
            # A chat or a turn is not there, or a column holds another kind of value than the page.
            return True
        return bool(wrong)


class LiveViews:
    """The tests of what is asked at query time, upon models of which one is another query."""

    def __init__(self, connection: Connection, project: Project) -> None:
        self._connection = connection
        self._project = project
        tests = [test for name, test in vars(test_live_views).items() if name.startswith("test_")]
        # The last ones are the strictest.
        self._tests = tests[::-1]

    def knows(self, model: Model) -> bool:
        """The live views."""
        return model.name in VIEWS

    def refutes(self, model: Model, sql: str) -> bool:
        """Whether any of the tests fails."""
        models = {**self._project.models, model.name: replace(model, text=sql)}
        return any(self._fails(test, replace(self._project, models=models)) for test in self._tests)

    def _fails(self, test: Callable[[test_live_views.Account], None], project: Project) -> bool:
        with _asked(self._connection):
            try:
                test(test_live_views.Account(self._connection, project))
            except (AssertionError, LookupError, TypeError, ValueError):
                return True
            except ModelError as error:
                if isinstance(error.__context__, psycopg.Error):
                    raise error.__context__ from None
                return True
        return False


def made_up_chats() -> list[Chat]:
    """The same ones every time."""
    made: list[Chat] = []

    @seed(1)
    @settings(
        max_examples=_MADE_UP,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(chats())
    def collect(chat: Chat) -> None:
        made.append(replace(chat, key=f"chat-{len(made)}"))

    collect()
    return made


@contextmanager
def proofs_of(server: PostgresServer, project: Project, names: Collection[str]) -> Iterator[Proofs]:
    """Those that know some models, each with a database of its own."""
    with ExitStack() as stack:
        proofs: list[Proof] = []
        url = stack.enter_context(server.database(migrated=True))
        connection = stack.enter_context(connect(url, purpose="mutants"))
        build_all(connection, project)
        if set(CORE).intersection(names):
            # Those that are asked fastest come first.
            for zone in ZONES:
                section = stack.enter_context(stored_section(server, ZoneInfo(zone)))
                proofs.append(ChatsByHand(section, project, zone))
            made = made_up_chats()
            # Without any configuration: one policy, no calendar.
            proofs.append(MadeUpChats(connection, project, made[:_UNCONFIGURED], Rules(NEW_YORK, policies=[DEFAULT])))
            configured = stack.enter_context(configured_warehouse(server)).connection
            proofs.append(MadeUpChats(configured, project, [*made, *UNLIKELY], RULES))
        if set(VIEWS).intersection(names):
            empty = stack.enter_context(server.database(migrated=True))
            proofs.append(LiveViews(stack.enter_context(connect(empty, purpose="mutants")), project))
        if set(names).difference(CORE, VIEWS):
            loaded = stack.enter_context(loaded_warehouse(server))
            reader = stack.enter_context(connect(loaded.url, purpose="mutants"))
            proofs += [
                Marts(reader, project, loaded.account),
                _otherwise(stack, loaded),
                _since_measured(stack, loaded),
            ]
        yield Proofs(connection, proofs, project)


def _otherwise(stack: ExitStack, loaded: Warehouse) -> Proof:
    """The account under another promise and loaded up to another time, in a transaction that is forgotten."""
    connection = stack.enter_context(connect(loaded.url, purpose="mutants"))
    stack.enter_context(connection.transaction(force_rollback=True))
    connection.execute(CALM.encode())
    connection.execute(UNTIL_APRIL)
    build(connection, Target(loaded.project, VARIABLES), loaded.project.models["chat_metrics"], None)
    references = {
        "sla_clocks": sla_clocks_if_calm,
        "sla_breaches": sla_breaches_if_calm,
        "contact_cohorts": REFERENCES["contact_cohorts"],
    }
    return Marts(connection, loaded.project, read_account(connection, BOGOTA), references)


def _since_measured(stack: ExitStack, loaded: Warehouse) -> Proof:
    """What can be scored of an account that has changed since it was measured, in a transaction that is forgotten."""
    connection = stack.enter_context(connect(loaded.url, purpose="mutants"))
    stack.enter_context(connection.transaction(force_rollback=True))
    connection.execute(SINCE_MEASURED.encode())
    references = {"scoring_candidates": scoring_candidates_since, "effectiveness_daily": effectiveness_daily_since}
    return Marts(connection, loaded.project, read_account(connection, BOGOTA), references)
