"""Who may read what: the roles that people's own accounts are made members of, and what these are granted.

An analyst reads schema `analytics`: the marts, and masked views of the core tables. A manager reads the tables of
schema `public` as well. Not here: what the views leave out (`dbt_like_sql/models/masked/`), people's accounts, which
whoever runs the server makes.
"""

from collections.abc import Sequence

from psycopg import Connection, errors, sql

from b2chat_pipeline.settings import OperatorError

ANALYST = "b2chat_analyst"
MANAGER = "b2chat_manager"

_LOCK = 0x62326368_03
# What is made later is covered by the default privileges. Only the functions that views call may be called.
_GRANTS = (
    "create schema if not exists analytics",
    "grant usage on schema analytics to {analyst}, {manager}",
    "grant select on all tables in schema analytics to {analyst}, {manager}",
    "alter default privileges in schema analytics grant select on tables to {analyst}, {manager}",
    "grant execute on function ops.business_seconds, ops.next_opening to {analyst}, {manager}",
    "grant usage on schema public to {manager}",
    "grant select on all tables in schema public to {manager}",
    "alter default privileges in schema public grant select on tables to {manager}",
)
_IS_GRANTED = """
    select count(*) = 2
      from pg_default_acl d
      join pg_namespace n on n.oid = d.defaclnamespace
     cross join lateral aclexplode(d.defaclacl) granted
     where n.nspname in ('analytics', 'public')
       and d.defaclrole = current_user::regrole
       and granted.grantee = to_regrole(%s)
"""


class AccessError(OperatorError):
    """The roles cannot be made, or nothing can be granted to them."""


def ensure_access(connection: Connection) -> None:
    """As `grant_access`, where that has not been done yet."""
    row = connection.execute(_IS_GRANTED, (MANAGER,)).fetchone()
    if row is None or not row[0]:
        grant_access(connection)


def grant_access(connection: Connection) -> None:
    """Make the two roles and grant them what they may read, now and later. May be repeated. Raises AccessError."""
    ensure_roles(connection, (ANALYST, MANAGER))
    roles = {"analyst": sql.Identifier(ANALYST), "manager": sql.Identifier(MANAGER)}
    try:
        with connection.transaction():
            # Two that grant at once would meet at the same rows of the catalog.
            connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            for statement in _GRANTS:
                connection.execute(sql.SQL(statement).format(**roles))
    except errors.InsufficientPrivilege:
        raise AccessError(
            "the roles cannot be granted anything, since this user does not own all tables and views of schemas public"
            " and analytics: let B2CHAT_DATABASE_URL name the user that runs `b2chat db upgrade` and the builds."
        ) from None


def ensure_roles(connection: Connection, names: Sequence[str]) -> None:
    """Make those of some roles that the server lacks; nobody can log in as one. Raises AccessError."""
    found = connection.execute("select rolname from pg_roles where rolname = any(%s)", (list(names),))
    present = {name for (name,) in found}
    missing = [sql.SQL("create role {} nologin").format(sql.Identifier(name)) for name in names if name not in present]
    for statement in missing:
        try:
            connection.execute(statement)
        except errors.InsufficientPrivilege:
            needed = "; ".join(it.as_string(connection) for it in missing)
            raise AccessError(
                f"this user may not make roles: have the administrator of the server run  {needed};  then run"
                " `b2chat db access` again."
            ) from None
        except (errors.DuplicateObject, errors.UniqueViolation):
            continue  # another process was faster; roles belong to the whole server
