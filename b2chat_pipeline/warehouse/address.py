"""The address of a PostgreSQL database in the forms that drivers want.

Here belongs text only, and no driver: runs and commands that need no migrations do not pay for SQLAlchemy. Not here:
which address it is (`location.py`).
"""

import re

_SCHEME = re.compile(r"^postgres(?:ql)?(?:\+\w+)?://")


def psycopg_url(url: str) -> str:
    """The address as libpq reads it: `postgresql://…`. ValueError where it is no PostgreSQL URL."""
    return _with_scheme(url, "postgresql://")


def sqlalchemy_url(url: str) -> str:
    """The address as SQLAlchemy reads it, with the driver psycopg 3. ValueError where it is no PostgreSQL URL."""
    return _with_scheme(url, "postgresql+psycopg://")


def psycopg2_url(url: str) -> str:
    """The address with the driver Dagster's storage needs. ValueError where it is no PostgreSQL URL."""
    return _with_scheme(url, "postgresql+psycopg2://")


def _with_scheme(url: str, scheme: str) -> str:
    if not _SCHEME.match(url):
        raise ValueError("The database URL must begin with postgresql:// (a driver after a plus sign is allowed).")
    return _SCHEME.sub(scheme, url)
