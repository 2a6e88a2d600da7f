"""Who runs the pipeline and for which account: users, stored settings, and the zone the tables were loaded in.

Here belong `users` and `system_settings`. Not here: the environment (`settings.py`).
"""

from collections.abc import Sequence
from datetime import datetime

from psycopg import Connection

from b2chat_pipeline.settings import OperatorError
from b2chat_pipeline.warehouse.identifiers import derived_id, new_id

# Scheduled work belongs to this row.
SYSTEM_USER = "system"
_LOADED_ZONE = "LOADED_TIMEZONE"


class UnknownUserError(OperatorError):
    """A launch names a user who is not in `users`."""


class ZoneChangedError(OperatorError):
    """The tables were loaded with another time zone, so their hours mean other instants."""


def ensure_users(connection: Connection, admin_emails: Sequence[str], *, now: datetime) -> None:
    """Make sure that the system user and the administrators exist."""
    rows: list[tuple[str, str, str | None]] = [(SYSTEM_USER, "system@localhost", "System")]
    rows += [(derived_id(0, "user", email), email, None) for email in sorted(admin_emails)]
    for user_id, email, name in rows:
        # Whichever key they meet in: two processes may start with an empty database at once.
        connection.execute(
            "insert into users (id, email, name, role, created_at, updated_at) values (%s, %s, %s, 'Admin', %s, %s)"
            " on conflict do nothing",
            (user_id, email, name, now, now),
        )
    connection.execute(
        "update users set role = 'Admin', updated_at = %s where email = any(%s) and role <> 'Admin'",
        (now, [email for _, email, _ in rows]),
    )


def user_id(connection: Connection, email: str | None) -> str:
    """The user a run belongs to: the system where no e-mail is given. Raises UnknownUserError."""
    if not email:
        return SYSTEM_USER
    row = connection.execute("select id from users where email = %s", (email.strip().lower(),)).fetchone()
    if row is None:
        raise UnknownUserError(
            "--user, or the run tag b2chat/user, names nobody in users: add the address to B2CHAT_ADMIN_EMAILS and run"
            " again."
        )
    return str(row[0])


def stored_settings(connection: Connection) -> dict[str, str]:
    """The system-wide settings kept in the database, which the environment overrides."""
    rows = connection.execute("select key, value from system_settings where is_system_setting").fetchall()
    return {key: value for key, value in rows if value}


def hold_zone(connection: Connection, zone: str, *, now: datetime) -> None:
    """Write down the account's zone at the first load and compare it ever after. Raises ZoneChangedError."""
    connection.execute(
        "insert into system_settings (id, key, value, category, description, is_system_setting, created_at, updated_at)"
        " values (%s, %s, %s, 'b2chat', 'Time zone the tables were loaded in.', true, %s, %s)"
        " on conflict (key) do nothing",
        (new_id(), _LOADED_ZONE, zone, now, now),
    )
    require_zone(connection, zone)


def require_zone(connection: Connection, zone: str) -> None:
    """Compare the account's zone with the one the tables were loaded in, if any. Raises ZoneChangedError."""
    row = connection.execute("select value from system_settings where key = %s", (_LOADED_ZONE,)).fetchone()
    loaded = row[0] if row else zone
    if loaded != zone:
        raise ZoneChangedError(
            f"B2CHAT_TIMEZONE is {zone}, but the tables were loaded in {loaded}: set it back, or use an empty database."
        )
