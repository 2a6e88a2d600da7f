"""What the operator decides: every environment variable, its meaning, its default, and the typed values read from it.

Here belongs reading and validating settings. Not here: acting on them, and secrets of any other place. Nothing is read
at import; every function takes the environment as a mapping, so a test or a run passes its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

DEFAULT_API_URL = "https://api.b2chat.io"
# Where the partitions start while B2CHAT_START_DATE is unset: the definitions load, but no run starts.
PLACEHOLDER_START = date(2025, 1, 1)


class OperatorError(Exception):
    """Something only a person can put right; the text is one sentence that ends with the next step."""

    # That of the command which it ends.
    exit_status: ClassVar[int] = 1


class SettingsError(OperatorError):
    """A setting is missing or wrong."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: how it is written in `.env.example` and in the documentation."""

    name: str
    meaning: str
    default: str = ""
    example: str = ""
    # May also be set as a row of system_settings; the environment wins.
    stored: bool = False


VARIABLES = (
    Variable("B2CHAT_USERNAME", "API user of the account (B2Chat, settings, API credentials).", example="api-user"),
    Variable("B2CHAT_PASSWORD", "Its password. Never logged.", example="change-me"),
    Variable(
        "B2CHAT_TIMEZONE",
        "The account's own time zone (IANA name). Hours and days are its hours and days.",
        example="America/Bogota",
    ),
    Variable("B2CHAT_START_DATE", "First account-local day to offer for loading.", example="2026-01-01"),
    Variable("B2CHAT_API_URL", "Address of the API.", DEFAULT_API_URL, stored=True),
    Variable("B2CHAT_REQUESTS_PER_SECOND", "Ceiling for all processes together; 0 switches it off.", "5", stored=True),
    Variable("B2CHAT_REQUESTS_PER_DAY", "Ceiling for all processes together.", "10000", stored=True),
    Variable(
        "B2CHAT_RAW_RETENTION_DAYS",
        "Days that pages of the API are kept as received; whole weeks older than that are dropped.",
        "30",
        stored=True,
    ),
    Variable(
        "B2CHAT_ADMIN_EMAILS",
        "Administrators, separated by commas; they own manual loads and get notices.",
        stored=True,
    ),
    Variable(
        "B2CHAT_NOTIFY_URLS",
        "Where trouble is told besides, separated by blanks: addresses as apprise writes them, such as"
        " mailto://user:password@example.com. They are secrets, and never logged.",
    ),
    Variable(
        "B2CHAT_CONFIG",
        "YAML file with business calendars, departments, targets and scoring: what `b2chat config apply` applies.",
        "config.yaml",
    ),
    Variable("ANTHROPIC_API_KEY", "Key of the service whose model scores conversations. Never logged."),
    Variable("ANTHROPIC_BASE_URL", "Address of that service.", "https://api.anthropic.com"),
    Variable("B2CHAT_DATABASE_URL", "The warehouse, any PostgreSQL 15 or newer. Unset: the embedded server."),
    Variable("DAGSTER_DATABASE_URL", "Dagster's own database, best on the same server. Unset: the embedded server."),
    Variable("B2CHAT_DATA_DIR", "Folder of the embedded PostgreSQL and of logs.", ".b2chat"),
)
_BY_NAME = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True)
class Account:
    """The account's own calendar: the zone its days are counted in, and the first day on offer."""

    zone: ZoneInfo
    first_day: date


@dataclass(frozen=True)
class Source:
    """How to reach the B2Chat API, and how hard it may be asked."""

    api_url: str
    username: str
    password: str = field(repr=False)
    requests_per_second: float
    requests_per_day: int


@dataclass(frozen=True)
class ModelService:
    """How to reach the service whose model scores conversations."""

    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Storage:
    """Where data is kept. A URL of None means the embedded PostgreSQL below `data_dir`."""

    data_dir: Path
    database_url: str | None = field(repr=False)
    dagster_database_url: str | None = field(repr=False)


def read_account(environ: Mapping[str, str]) -> Account:
    """The account's zone and first day. Raises SettingsError where one is missing or wrong."""
    return Account(zone=_zone(environ), first_day=_start_date(environ))


def read_source(environ: Mapping[str, str], stored: Mapping[str, str] | None = None) -> Source:
    """How to reach the API: environment, then `stored` (system_settings), then the default. Raises SettingsError."""
    stored = stored or {}
    return Source(
        api_url=_address("B2CHAT_API_URL", environ, stored),
        username=_required("B2CHAT_USERNAME", environ),
        password=_required("B2CHAT_PASSWORD", environ),
        requests_per_second=_number("B2CHAT_REQUESTS_PER_SECOND", environ, stored),
        requests_per_day=int(_number("B2CHAT_REQUESTS_PER_DAY", environ, stored, pattern=r"[0-9]{1,9}")),
    )


def read_model_service(environ: Mapping[str, str]) -> ModelService:
    """How to reach the service that scores. Raises SettingsError where there is no key, or the address is none."""
    url = _address("ANTHROPIC_BASE_URL", environ, {})
    return ModelService(url=url, api_key=_required("ANTHROPIC_API_KEY", environ))


def read_storage(environ: Mapping[str, str]) -> Storage:
    """Where data is kept. Raises SettingsError where a URL is not one of PostgreSQL."""
    return Storage(
        data_dir=Path(_value("B2CHAT_DATA_DIR", environ, {})).expanduser().absolute(),
        database_url=_database_url("B2CHAT_DATABASE_URL", environ),
        dagster_database_url=_database_url("DAGSTER_DATABASE_URL", environ),
    )


def read_configuration_file(environ: Mapping[str, str]) -> Path:
    """Where the configuration of business time and targets is."""
    return Path(_value("B2CHAT_CONFIG", environ, {})).expanduser().absolute()


def read_admin_emails(environ: Mapping[str, str], stored: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The administrators' addresses, lower case, in order. Raises SettingsError where one is no address."""
    text = _value("B2CHAT_ADMIN_EMAILS", environ, stored or {})
    emails = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    if any(not re.fullmatch(r"[^@\s]+@[^@\s]+", email) for email in emails):
        raise SettingsError(
            "B2CHAT_ADMIN_EMAILS holds something that is no e-mail address: separate the addresses with commas."
        )
    return emails


def read_notify_urls(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses of channels outside, each once. Raises SettingsError where one is no address."""
    urls = tuple(dict.fromkeys(_value("B2CHAT_NOTIFY_URLS", environ, {}).split()))
    for number, url in enumerate(urls, start=1):
        if not re.match(r"[a-z][a-z0-9]*://.", url, re.IGNORECASE):
            # The value may hold a password, so it is not repeated.
            raise SettingsError(
                f"B2CHAT_NOTIFY_URLS is wrong at its address {number}: write it as apprise has it, such as"
                " mailto://user:password@example.com, with blanks between addresses."
            )
    return urls


def read_raw_retention(environ: Mapping[str, str], stored: Mapping[str, str] | None = None) -> timedelta:
    """How long raw pages are kept. Raises SettingsError."""
    text = _value("B2CHAT_RAW_RETENTION_DAYS", environ, stored or {})
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise SettingsError(f"B2CHAT_RAW_RETENTION_DAYS is {text!r}, which is no number of days: the default is 30.")
    return timedelta(days=int(text))


def check_all(environ: Mapping[str, str]) -> None:
    """Read every setting once; raises SettingsError for the first that is missing or wrong."""
    read_storage(environ)
    read_account(environ)
    read_source(environ)
    read_admin_emails(environ)
    read_notify_urls(environ)
    read_raw_retention(environ)


def env_example() -> str:
    """The text of `.env.example`: every variable with its meaning, and its default or an example."""
    lines = ["# Copy to .env and fill in. `b2chat` and `dg dev` read .env in the folder they are started in.", ""]
    for variable in VARIABLES:
        lines += [
            f"# {variable.meaning}",
            f"{'' if variable.example else '# '}{variable.name}={variable.example or variable.default}",
            "",
        ]
    return "\n".join(lines)


def _value(name: str, environ: Mapping[str, str], stored: Mapping[str, str]) -> str:
    told = (environ.get(name, ""), stored.get(name, ""), _BY_NAME[name].default)
    return next((text.strip() for text in told if text.strip()), "")


def _required(name: str, environ: Mapping[str, str]) -> str:
    value = _value(name, environ, {})
    if not value:
        raise SettingsError(
            f"{name} is not set: put it into .env (see .env.example), or try `b2chat demo`, which needs no account."
        )
    return value


def _zone(environ: Mapping[str, str]) -> ZoneInfo:
    name = _required("B2CHAT_TIMEZONE", environ)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a folder's name, no name at all
        hint = "use an IANA name such as America/Bogota."
        raise SettingsError(f"B2CHAT_TIMEZONE is {name!r}, which is no time zone: {hint}") from None


def _start_date(environ: Mapping[str, str]) -> date:
    text = _required("B2CHAT_START_DATE", environ)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"B2CHAT_START_DATE is {text!r}, which is no day: write it as 2026-01-31.") from None


def _number(
    name: str, environ: Mapping[str, str], stored: Mapping[str, str], *, pattern: str = r"[0-9]{1,9}(\.[0-9]{1,6})?"
) -> float:
    text = _value(name, environ, stored)
    if not re.fullmatch(pattern, text):
        raise SettingsError(
            f"{name} is {text!r}, which is no number of requests: the default is {_BY_NAME[name].default}."
        )
    return float(text)


def _address(name: str, environ: Mapping[str, str], stored: Mapping[str, str]) -> str:
    text = _value(name, environ, stored)
    try:
        parts = urlsplit(text)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # a bracket without its partner
        is_address = False
    if not is_address:
        raise SettingsError(f"{name} is {text!r}, which is no address: the default is {_BY_NAME[name].default}.")
    return text.rstrip("/")


def _database_url(name: str, environ: Mapping[str, str]) -> str | None:
    text = _value(name, environ, {})
    if not text:
        return None
    if not re.match(r"postgres(ql)?(\+\w+)?://", text):
        # The value may hold a password, so it is not repeated.
        raise SettingsError(
            f"{name} is no PostgreSQL URL: write it as postgresql://{quote('user')}:password@host:5432/database."
        )
    return text
