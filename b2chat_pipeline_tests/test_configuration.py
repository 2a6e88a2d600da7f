"""What a person configures: wrong files are named by path, versions are kept, and the past stays as it was."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection

from b2chat_pipeline.analysis.terms import read_terms
from b2chat_pipeline.operations.applying import Account, Change, apply
from b2chat_pipeline.operations.configuration import ConfigurationError, parse, read_configuration
from b2chat_pipeline.warehouse.accounts import SYSTEM_USER, ensure_users
from b2chat_pipeline.warehouse.connection import connect
from b2chat_pipeline.windows import AccountClock
from b2chat_pipeline_tests.command_support import Command
from b2chat_pipeline_tests.dagster_support import PROJECT

pytestmark = pytest.mark.any_postgres

BOGOTA = AccountClock(ZoneInfo("America/Bogota"))
NOW = datetime(2025, 3, 12, 18, tzinfo=UTC)
NEXT_DAY = datetime(2025, 3, 13, 5, tzinfo=UTC)
EXAMPLE = PROJECT / "config.example.yaml"
CALENDAR = "calendars: {default: [{valid_from: 2025-01-01, hours: {monday: ['08:00-18:00']}}]}"
SLA = "sla: [{policy: default, targets: {pickup: 120, first_response: 300, resolution: 7200}}]"
STRICTER = "sla: [{policy: default, targets: {pickup: 60, first_response: 300, resolution: 7200}}]"


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Connection]:
    with connect(database_url, purpose="test") as connection:
        ensure_users(connection, (), now=NOW)
        yield connection


def applied(warehouse: Connection, text: str, *, now: datetime = NOW, restate: bool = False) -> list[Change]:
    return apply(warehouse, parse(text.encode()), Account(BOGOTA, SYSTEM_USER, now), restate=restate)


def rows(warehouse: Connection, query: str) -> list[tuple[object, ...]]:
    return warehouse.execute(query.encode()).fetchall()


def add_chat(warehouse: Connection) -> None:
    warehouse.execute(
        "insert into chats (id, b2chat_id, provider, status, created_at, row_hash, read_at)"
        " values ('c', '1', 'other', 'open', %s, '', %s)",
        (NOW, NOW),
    )


SCORING = "scoring: {model: some-model, prices: {some-model: {input: 1, output: 5}}, caps: {day: 5, month: 100}}"


WRONG = [
    ("calendars: {default: [{valid_from: soon, hours: {}}]}", r"`\$\.calendars\[\.\.\.\]\[0\]\.valid_from`"),
    ("calendars: {default: [{valid_from: 2025-01-01, hours: {someday: []}}]}", r"someday"),
    ("calendars: {sales: [{valid_from: 2025-01-01, hours: {}}]}", r"named default - at `\$\.calendars`"),
    ("calendars: {default: []}", r"needs hours - at `\$\.calendars\.default`"),
    (
        CALENDAR.replace("18:00", "25:00"),
        r"'08:00-25:00' is no opening: .* `\$\.calendars\.default\[0\]\.hours\.monday\[0\]`",
    ),
    (CALENDAR.replace("18:00", "08:00"), r"'08:00-08:00' is no opening"),
    (CALENDAR.replace("18:00", "24:01"), r"'08:00-24:01' is no opening"),
    (
        CALENDAR.replace("['08:00-18:00']", "['08:00-12:00', '11:00-18:00']"),
        r"before the one before it ends .*monday\[1\]",
    ),
    (CALENDAR.replace("hours:", "holidays: {country: Atlantis}, hours:"), r"'Atlantis'.* `.*\[0\]\.holidays\.country`"),
    (CALENDAR.replace("hours:", "holidays: {country: CO, subdivision: X}, hours:"), r"'X' is no part of CO"),
    (
        f"{CALENDAR[:-2]}, {{valid_from: 2025-01-01, hours: {{}}}}]}}",
        r"later than the one before - at `\$\.calendars\.default`",
    ),
    (f"{CALENDAR}\ndepartments: [{{name: A, calendar: nobody}}]", r"no calendar 'nobody' .* `\$\.departments\.A`"),
    ("departments: [{name: A, below: [{name: A}]}]", r"named once.* `\$\.departments\.A\.A`"),
    ("departments: [{name: ' A'}]", r"blanks"),
    ("sla: []", r"policy named default"),
    (SLA.replace("pickup: 120", "pickup: 0"), r"`int` >= 1 - at `\$\.sla\[0\]\.targets\[\.\.\.\]`"),
    (SLA.replace("pickup: 120, ", ""), r"has a target for pickup, first_response, resolution"),
    (SLA.replace("policy: default", "policy: default, priority: high"), r"is for all chats"),
    (SLA.replace("policy: default", "policy: default, channel: fax"), r"'fax'.* `\$\.sla\[0\]\.channel`"),
    (
        SLA[:-1] + ", {policy: other, targets: {pickup: 1}}]",
        r"'other' is for the same chats as 'default' - at `\$\.sla\[1\]`",
    ),
    (SLA.replace("policy: default", "policy: default, valid_from: 2025-01-01"), r"since ever"),
    (SCORING.replace("model: some", "model: other"), r"no price for the model 'other-model' - at `\$\.scoring\.model`"),
    (SCORING.replace("input: 1", "input: -1"), r"A price is not below 0.* `\$\.scoring\.prices\.some-model`"),
    (SCORING.replace("input: 1", "input: 1, batch: 2"), r"above 0 and at most 1"),
    (SCORING.replace("day: 5", "day: 500"), r"not above that of the month - at `\$\.scoring\.caps`"),
    (SCORING.replace("day: 5", "day: much"), r"`\$\.scoring\.caps\.day`"),
    ("slas: []", r"unknown field `slas`"),
    ("calendars: [", r"expected the node content.* in line 1, column 13\."),
    (f"{SLA}\n{STRICTER}", r"sla is told twice in line 2, column 1\."),
    (CALENDAR.replace("hours: {", "hours: {monday: [], "), r"monday is told twice"),
    ("? [sla]\n: []", r"unhashable key in line 1, column 3\."),
    (CALENDAR.replace("hours:", "closed: [2025-02-30], hours:"), r"day is out of range for month"),
    (
        CALENDAR.replace("2025-01-01", "9999-12-31"),
        r"not in 1970 to 2199 - at `\$\.calendars\.default\[0\]\.valid_from`",
    ),
    (SLA[:-1] + ", {policy: a, priority: high, valid_from: 0001-01-01, targets: {pickup: 1}}]", r"not in 1970 to 2199"),
    (SLA.replace("pickup: 120", "pickup: 2147483648"), r"`int` <= 2147483647 - at `\$\.sla\[0\]\.targets\[\.\.\.\]`"),
    (r'departments: [{name: "A\0"}]', r"matching regex .* - at `\$\.departments\[0\]\.name`"),
    ("departments: &all [{name: A, below: *all}]", r"nested too deeply"),
    (f"departments: {'[' * 500}", r"nested too deeply"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_file_is_one_sentence_that_names_the_place(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=sentence) as caught:
        read_configuration(file)

    assert str(caught.value).startswith("config.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"cannot be read: set B2CHAT_CONFIG to a copy of config\.example\.yaml"
    ):
        read_configuration(tmp_path / "nothing.yaml")


def test_the_example_applies_and_the_same_file_again_changes_nothing(warehouse: Connection) -> None:
    first = applied(warehouse, EXAMPLE.read_text())
    tables = ("config_versions", "sla_policies", "business_hours", "holidays", "department_calendars", "calendars")
    stored = {table: rows(warehouse, f"select * from ops.{table} order by 1, 2, 3") for table in tables}  # noqa: S608

    again = applied(warehouse, EXAMPLE.read_text())

    assert {change.kind for change in first} == {"calendar", "department", "scoring", "sla policy"}
    assert again == []
    assert {table: rows(warehouse, f"select * from ops.{table} order by 1, 2, 3") for table in tables} == stored  # noqa: S608
    assert rows(warehouse, "select count(*) from audit_logs where event_type = 'settings.update'") == [(1,)]


def test_before_the_first_chat_a_file_holds_for_all_time(warehouse: Connection) -> None:
    assert applied(warehouse, STRICTER) == [Change("sla policy", "default", None)]

    assert rows(warehouse, "select version, valid_from, valid_to from ops.sla_policies where clock = 'pickup'") == [
        (2, None, None)
    ]


def test_once_there_are_chats_a_change_holds_from_the_next_day_on(warehouse: Connection) -> None:
    applied(warehouse, f"{CALENDAR}\n{SLA}")
    add_chat(warehouse)

    changes = applied(warehouse, f"{CALENDAR.replace('18:00', '12:00')}\n{STRICTER}")

    assert changes == [Change("calendar", "default", NEXT_DAY), Change("sla policy", "default", NEXT_DAY)]
    assert rows(
        warehouse,
        "select version, target_seconds, valid_from, valid_to from ops.sla_policies where clock = 'pickup' order by 1",
    ) == [(1, 120, None, NEXT_DAY), (2, 60, NEXT_DAY, None)]
    hours = "select extract(epoch from closes_at - opens_at)::integer / 3600 from ops.business_hours where opens_at "
    assert rows(warehouse, f"{hours} between '2025-03-10' and '2025-03-18' order by opens_at") == [(10,), (4,)]
    assert applied(warehouse, f"{CALENDAR.replace('18:00', '12:00')}\n{STRICTER}") == []


def test_terms_of_scoring_hold_at_once_since_nothing_of_the_past_is_scored_by_them(warehouse: Connection) -> None:
    applied(warehouse, SCORING)
    add_chat(warehouse)

    changes = applied(warehouse, SCORING.replace("day: 5", "day: 1"))

    assert changes == [Change("scoring", "scoring", NOW)]
    assert read_terms(warehouse, NOW).terms.caps.day == 1
    assert read_terms(warehouse, NOW - timedelta(seconds=1)).terms.caps.day == 5
    assert applied(warehouse, SCORING.replace("day: 5", "day: 1"), now=NOW + timedelta(days=1)) == []


def test_the_first_calendar_holds_for_all_time_since_nothing_was_measured_before(warehouse: Connection) -> None:
    add_chat(warehouse)

    assert applied(warehouse, CALENDAR) == [Change("calendar", "default", datetime(2025, 1, 1, 5, tzinfo=UTC))]

    assert rows(warehouse, "select min(opens_at) from ops.business_hours") == [(datetime(2025, 1, 6, 13, tzinfo=UTC),)]


def test_hours_that_begin_at_midnight_are_replaced_from_the_next_day_on(warehouse: Connection) -> None:
    # The next day is a Thursday.
    around_the_clock = "calendars: {default: [{valid_from: 2025-01-01, hours: {thursday: ['00:00-24:00']}}]}"
    applied(warehouse, around_the_clock)
    add_chat(warehouse)

    assert applied(warehouse, around_the_clock) == []

    assert rows(warehouse, "select count(*) from ops.business_hours where opens_at = '2025-03-13 05:00+00'") == [(1,)]


def test_a_change_of_tomorrow_is_replaced_by_the_next_one(warehouse: Connection) -> None:
    add_chat(warehouse)
    applied(warehouse, STRICTER)

    assert applied(warehouse, SLA) == [Change("sla policy", "default", NEXT_DAY)]

    assert rows(
        warehouse, "select version, valid_from, replaced_at is null from ops.config_versions order by version"
    ) == [(1, None, True), (2, NEXT_DAY, False), (3, NEXT_DAY, True)]


def test_the_past_is_restated_only_when_asked_for_and_both_are_kept(warehouse: Connection) -> None:
    add_chat(warehouse)

    assert applied(warehouse, STRICTER, restate=True) == [Change("sla policy", "default", None)]

    assert rows(warehouse, "select version, target_seconds from ops.sla_policies where clock = 'pickup'") == [(2, 60)]
    assert rows(warehouse, "select version, replaced_at from ops.config_versions order by version") == [
        (1, NOW),
        (2, None),
    ]


def test_a_part_that_is_left_out_stays_and_a_name_that_is_left_out_ends(warehouse: Connection) -> None:
    urgent = SLA[:-1] + ", {policy: urgent, priority: urgent, targets: {pickup: 30}}]"
    applied(warehouse, f"{CALENDAR}\n{urgent}")
    add_chat(warehouse)

    assert applied(warehouse, CALENDAR) == []
    assert applied(warehouse, SLA) == [Change("sla policy", "urgent", NEXT_DAY)]

    assert rows(warehouse, "select valid_to from ops.sla_policies where policy = 'urgent'") == [(NEXT_DAY,)]


def test_a_policy_may_change_on_a_day_that_the_file_names(warehouse: Connection) -> None:
    later = "{policy: default, valid_from: 2026-01-01, targets: {pickup: 60, first_response: 60, resolution: 60}}"

    applied(warehouse, f"{SLA[:-1]}, {later}]")

    assert rows(
        warehouse,
        "select target_seconds, valid_from, valid_to from ops.sla_policies where clock = 'pickup' order by version",
    ) == [
        (120, None, datetime(2026, 1, 1, 5, tzinfo=UTC)),
        (60, datetime(2026, 1, 1, 5, tzinfo=UTC), None),
    ]


TREE = """
departments:
  - name: Comercial
    calendar: night
    below:
      - name: Ventas
      - name: Mayoristas
        calendar: default
"""


def test_departments_get_their_place_and_keep_the_calendar_of_the_one_above(warehouse: Connection) -> None:
    warehouse.execute(
        "insert into departments (id, b2chat_code, name) values ('x', 'ventas-x', 'Ventas'), ('y', 'y', 'Y')"
    )
    calendars = CALENDAR.replace("calendars: {", "calendars: {night: [{valid_from: 2025-01-01, hours: {}}], ")

    applied(warehouse, f"{calendars}\n{TREE}")

    assert rows(warehouse, "select name, path, level, is_leaf, parent_id is null from departments order by name") == [
        ("Comercial", "/comercial/", 0, False, True),
        ("Mayoristas", "/comercial/mayoristas/", 1, True, False),
        ("Ventas", "/comercial/ventas-x/", 1, True, False),
        ("Y", "/y/", 0, True, True),
    ]
    assert rows(warehouse, "select department, calendar from ops.department_calendars order by 1") == [
        ("Comercial", "night"),
        ("Mayoristas", "default"),
        ("Ventas", "night"),
    ]


def test_applying_again_moves_the_horizon(warehouse: Connection) -> None:
    applied(warehouse, CALENDAR)

    assert applied(warehouse, CALENDAR, now=datetime(2026, 3, 12, tzinfo=UTC)) == []

    assert rows(warehouse, "select known_until from ops.calendars") == [(datetime(2032, 1, 1, 5, tzinfo=UTC),)]
    assert rows(warehouse, "select max(opens_at) from ops.business_hours") == [
        (datetime(2031, 12, 29, 13, tzinfo=UTC),)
    ]


def test_the_commands_apply_and_show(b2chat: Command, database_url: str) -> None:
    settings = {"B2CHAT_DATABASE_URL": database_url, "DAGSTER_DATABASE_URL": database_url}
    settings |= {"B2CHAT_CONFIG": str(EXAMPLE), "B2CHAT_ADMIN_EMAILS": "ana@example.test"}
    told = b2chat("config", "apply", "--user", "ana@example.test", **settings)
    shown = b2chat("config", "show", **settings)

    assert (told.status, shown.status) == (0, 0), (told, shown)
    assert "calendar default: from 2024-01-01 on." in told.output
    assert "sla policy urgent: for all time." in told.output
    assert told.output.endswith("once they are built again: `b2chat build`.\n")
    assert "Soporte Técnico" in shown.output
    with connect(database_url, purpose="test") as connection:
        assert rows(connection, "select user_email from audit_logs where event_type = 'settings.update'") == [
            ("ana@example.test",)
        ]
