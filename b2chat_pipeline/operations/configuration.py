"""The YAML file of what a person decides: business calendars, the tree of departments, targets, scoring.

Here belongs what may stand in it, each wrong place named. Not here: what becomes of it (`applying.py`).
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from b2chat_pipeline.analysis.terms import Terms, problem
from b2chat_pipeline.settings import OperatorError

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Clock = Literal["pickup", "first_response", "resolution"]
# What PostgreSQL's integers hold, and what its texts do not.
Seconds = Annotated[int, msgspec.Meta(gt=0, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
CLOCKS: tuple[Clock, ...] = ("pickup", "first_response", "resolution")
# The calendar of departments that have none of their own, and the policy of chats that no other fits.
DEFAULT = "default"
_SPAN = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_DAY = 24 * 60
# Of other years some days do not exist in every zone.
_YEARS = range(1970, 2200)


class ConfigurationError(OperatorError):
    """The configuration cannot be used."""


class _Loader(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML takes: a key told twice, of which the first would be lost unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as it is called
        seen: set[object] = set()
        for key, _ in node.value:
            # A list or a mapping as a key is refused by PyYAML itself.
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is told twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class HolidayRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose public holidays are kept: a country by its ISO code, perhaps a part of it."""

    country: str
    subdivision: str | None = None


class WeeklyHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hours of a calendar from some account-local day on, until the next of them begins."""

    valid_from: date
    hours: Mapping[Weekday, list[str]]
    holidays: HolidayRule | None = None
    closed: list[date] = []


class Department(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A department with those below it. Its calendar is its own, or that of the one above."""

    name: Name
    calendar: str | None = None
    below: list["Department"] = []


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Targets by clock, for chats of a priority, of a channel, or for all that no other policy fits."""

    policy: Name
    targets: Mapping[Clock, Seconds]
    priority: Literal["urgent", "high", "normal", "low"] | None = None
    channel: Literal["whatsapp", "facebook", "telegram", "livechat", "b2cbotapi", "instagram", "other"] | None = None
    in_business_hours: bool = False
    valid_from: date | None = None


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. What is left out stays as it is in the warehouse."""

    calendars: Mapping[Name, list[WeeklyHours]] | None = None
    departments: list[Department] | None = None
    sla: list[Policy] | None = None
    scoring: Terms | None = None


def read_configuration(file: Path) -> Configuration:
    """The configuration in a file. Raises ConfigurationError with the path of the first thing that is wrong."""
    try:
        text = file.read_bytes()
    except OSError:
        raise ConfigurationError(
            f"{file} cannot be read: set B2CHAT_CONFIG to a copy of config.example.yaml."
        ) from None
    try:
        configuration = parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file.name}: {error} Correct it and apply it again.") from None
    return configuration


def parse(text: bytes) -> Configuration:
    """The configuration that a text of YAML tells. Raises ConfigurationError."""
    try:
        told = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, which only refuses more
        configuration = msgspec.convert(told, Configuration, builtin_types=(date,))
    except RecursionError:
        raise ConfigurationError("It is nested too deeply.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(f"{error.problem}{at}.") from None
    except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
        # A ValueError is a date that no calendar has, such as 2025-02-30.
        raise ConfigurationError(f"{' '.join(str(error).split())}.") from None
    calendars = configuration.calendars
    if calendars is not None:
        _check_calendars(calendars)
    _check_departments(configuration.departments or [], calendars)
    if configuration.sla is not None:
        _check_policies(configuration.sla)
    if configuration.scoring is not None:
        _check_scoring(configuration.scoring)
    return configuration


def minutes_of(span: str) -> tuple[int, int]:
    """`08:00-12:30` as minutes of the day. Raises ValueError."""
    match = _SPAN.fullmatch(span)
    opens, closes = (int(match[n]) * 60 + int(match[n + 1]) for n in (1, 3)) if match else (0, 0)
    if not opens < closes <= _DAY:
        raise ValueError("hours are written as 08:00-12:30, within one day, the end after the beginning")
    return opens, closes


def _fail(path: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{what} - at `{path}`.")


def _check_calendars(calendars: Mapping[str, Sequence[WeeklyHours]]) -> None:
    if DEFAULT not in calendars:
        raise _fail("$.calendars", f"There must be a calendar named {DEFAULT}")
    for name, periods in calendars.items():
        path = f"$.calendars.{name}"
        if not periods:
            raise _fail(path, "A calendar needs hours")
        if any(earlier.valid_from >= later.valid_from for earlier, later in pairwise(periods)):
            raise _fail(path, "Each valid_from must be later than the one before")
        for number, period in enumerate(periods):
            _check_year(period.valid_from, f"{path}[{number}].valid_from")
            _check_hours(period.hours, f"{path}[{number}].hours")
            _check_country(period.holidays, f"{path}[{number}].holidays")


def _check_year(day: date, path: str) -> None:
    if day.year not in _YEARS:
        raise _fail(path, f"{day} is not in {_YEARS[0]} to {_YEARS[-1]}")


def _check_hours(hours: Mapping[Weekday, Sequence[str]], path: str) -> None:
    for weekday, spans in hours.items():
        closed = 0
        for number, span in enumerate(spans):
            try:
                opens, closes = minutes_of(span)
            except ValueError as error:
                raise _fail(f"{path}.{weekday}[{number}]", f"{span!r} is no opening: {error}") from None
            if opens < closed:
                raise _fail(f"{path}.{weekday}[{number}]", f"{span!r} begins before the one before it ends")
            closed = closes


def _check_country(rule: HolidayRule | None, path: str) -> None:
    import holidays

    if rule is None:
        return
    known = holidays.list_supported_countries()
    if rule.country not in known:
        raise _fail(f"{path}.country", f"No holidays are known of {rule.country!r}: use an ISO code such as CO")
    if rule.subdivision is not None and rule.subdivision not in known[rule.country]:
        raise _fail(
            f"{path}.subdivision", f"{rule.subdivision!r} is no part of {rule.country} with holidays of its own"
        )


def walk(departments: Iterable[Department], above: Sequence[Department] = ()) -> Iterator[tuple[Department, ...]]:
    """Each department as its line from the root on, those above before those below."""
    for department in departments:
        line = (*above, department)
        yield line
        yield from walk(department.below, line)


def _check_departments(departments: Sequence[Department], calendars: Mapping[str, object] | None) -> None:
    seen: set[str] = set()
    for line in walk(departments):
        department = line[-1]
        path = "$.departments" + "".join(f".{each.name}" for each in line)
        if department.name != department.name.strip() or department.name in seen:
            raise _fail(path, "A department is named once, without blanks around its name")
        if department.calendar is not None and department.calendar not in (calendars or {}):
            raise _fail(path, f"There is no calendar {department.calendar!r} in this file")
        seen.add(department.name)


def _check_policies(policies: Sequence[Policy]) -> None:
    owners: dict[tuple[str | None, str | None], str] = {}
    newest: dict[str, date] = {}
    for number, policy in enumerate(policies):
        path = f"$.sla[{number}]"
        if not policy.targets:
            raise _fail(f"{path}.targets", "A policy needs a target")
        if owners.setdefault((policy.priority, policy.channel), policy.policy) != policy.policy:
            raise _fail(path, f"{policy.policy!r} is for the same chats as {owners[policy.priority, policy.channel]!r}")
        if policy.valid_from is not None:
            _check_year(policy.valid_from, f"{path}.valid_from")
        since = policy.valid_from or date.min
        if policy.policy in newest and since <= newest[policy.policy]:
            raise _fail(f"{path}.valid_from", "Each valid_from of a policy must be later than the one before")
        newest[policy.policy] = since
    _check_default(policies)


def _check_default(policies: Sequence[Policy]) -> None:
    default = [policy for policy in policies if policy.policy == DEFAULT]
    if not default or default[0].valid_from is not None:
        raise _fail("$.sla", f"There must be a policy named {DEFAULT} that holds since ever, without valid_from")
    for policy in default:
        if policy.priority or policy.channel or policy.targets.keys() != set(CLOCKS):
            raise _fail("$.sla", f"The policy {DEFAULT} is for all chats and has a target for {', '.join(CLOCKS)}")


def _check_scoring(terms: Terms) -> None:
    wrong = problem(terms)
    if wrong is not None:
        part, what = wrong
        raise _fail(f"$.scoring.{part}", what)
