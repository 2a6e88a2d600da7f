"""The `b2chat` command: options, help texts, and errors as one sentence.

Here belongs how a command is called. Not here: what it does (`commands/`), the commands about scoring
(`cli_scoring.py`).
"""

import logging
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from b2chat_pipeline.cli_scoring import labels, prompt, score
from b2chat_pipeline.commands.environment import environ as _environ
from b2chat_pipeline.commands.processes import terminate_like_interrupt
from b2chat_pipeline.settings import OperatorError

PORT = click.IntRange(1, 65535)


def _zone(_context: click.Context, _option: click.Parameter, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise click.BadParameter(f"{name!r} is no time zone: use an IANA name such as America/Bogota.") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="b2chat-pipeline")
def cli() -> None:
    """Loads a B2Chat customer-service account into PostgreSQL, hour by hour, with Dagster."""


cli.add_command(score)
cli.add_command(labels)
cli.add_command(prompt)


@cli.command(short_help="Try everything on invented data, without an account.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="How many past days to load.")
@click.option("--port", type=PORT, default=3000, show_default=True, help="Port of the UI.")
@click.option("--exit", "leave", is_flag=True, help="Stop everything again when the days are loaded.")
def demo(*, days: int, port: int, leave: bool) -> None:
    """Try everything without an account: invented data, an embedded database, the UI."""
    from b2chat_pipeline.commands.demo import demo as run

    run(_environ(), days=days, port=port, leave=leave)


@cli.command(short_help="Run databases, UI and daemon until interrupted.")
@click.option("--port", type=PORT, default=3000, show_default=True, help="Port of the UI.")
def dev(*, port: int) -> None:
    """Run database, migrations, webserver and daemon until interrupted."""
    from b2chat_pipeline.commands.dev import dev as run

    run(_environ(), port=port)


@cli.command(short_help="Load the hours from FROM to before TO.")
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
@click.option("--user", metavar="EMAIL", help="Whose load this is in the books; an administrator's address.")
@click.option("--plan", "plan_only", is_flag=True, help="Only say what it would take: requests, days, when it is done.")
def load(*, start: str, end: str, user: str | None, plan_only: bool) -> None:
    """Load the hours from FROM to before TO, days or times of the account: 2026-01-01, 2026-01-01T14:00."""
    from b2chat_pipeline.commands.load import load as run
    from b2chat_pipeline.commands.load import plan

    if plan_only:
        plan(_environ(), start=start, end=end)
    elif not run(_environ(), start=start, end=end, user=user):
        sys.exit(1)


@cli.command(short_help="Say what is well and what is not.")
@click.option("--online", is_flag=True, help="Ask B2Chat too whether it takes the credentials: two requests.")
def doctor(*, online: bool) -> None:
    """Look at database, settings, daemon, schedules, hours and the rest, each line with what mends it.

    Changes nothing. The exit status is 1 where somebody has to put something right.
    """
    from b2chat_pipeline.commands.doctor import doctor as run

    if not run(_environ(), online=online):
        sys.exit(1)


@cli.command(short_help="Check hours against their stored pages.")
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
def replay(*, start: str, end: str) -> None:
    """Rebuild the hours from FROM to before TO from the stored pages, and compare them with the tables.

    Asks nothing of the API and changes no table: the rebuilt ones are in a schema of their own. The exit status is 1
    where anything differs.
    """
    from b2chat_pipeline.commands.replay import replay as run

    if not run(_environ(), start=start, end=end):
        sys.exit(1)


@cli.command(short_help="Build the SQL models.")
@click.argument("start", metavar="[FROM", required=False)
@click.argument("end", metavar="TO]", required=False)
def build(*, start: str | None, end: str | None) -> None:
    """Build the SQL models in schema analytics: all days, or those from FROM to before TO."""
    from b2chat_pipeline.commands.build import build as run

    if start and not end:
        raise click.UsageError("FROM needs a TO: the first day that is not built any more.")
    if not run(_environ(), start=start, end=end):
        sys.exit(1)


@cli.command(short_help="Show the chats behind a number.")
@click.argument("mart")
@click.argument("key")
@click.argument("day")
def explain(*, mart: str, key: str, day: str) -> None:
    """Show what is behind a row of MART: the chats, their clocks, targets and stored pages. Shows no personal data.

    KEY is written as agent_id=…,metric=first_response,form=calendar; nothing after = where the column is NULL. DAY is
    the day of the row, of a week or month its first one. The exit status is 1 where the chats do not make the row.
    """
    from b2chat_pipeline.commands.explain import explain as run

    if not run(_environ(), mart=mart, key=key, day=day):
        sys.exit(1)


@cli.command("what-if", short_help="Judge past chats by another target.")
@click.argument("clock", type=click.Choice(["pickup", "first_response", "resolution"]))
@click.argument("seconds", type=click.IntRange(0))
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
def what_if(*, clock: str, seconds: int, start: str, end: str) -> None:
    """Show how many chats from FROM to before TO had met a target of SECONDS, beside what was reported."""
    from b2chat_pipeline.commands.what_if import what_if as run

    run(_environ(), clock=clock, seconds=seconds, start=start, end=end)


@cli.group()
def db() -> None:
    """The warehouse's tables."""


@db.command(short_help="Bring the tables to the newest revision.")
def upgrade() -> None:
    """Create the databases where they are missing and bring the tables to the newest revision."""
    from b2chat_pipeline.commands.databases import upgrade as run

    run(_environ())


@db.command(short_help="Make the roles of analysts and managers.")
def access() -> None:
    """Make the roles b2chat_analyst and b2chat_manager, and grant them what they may read."""
    from b2chat_pipeline.commands.databases import access as run

    run(_environ())


@db.command(short_help="Remove what is older than its retention.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def retain(*, dry_run: bool) -> None:
    """Remove raw pages older than B2CHAT_RAW_RETENTION_DAYS by the week, and old books and events of Dagster.

    No run is removed, and nothing that a partition's state is worked out from.
    """
    from b2chat_pipeline.commands.retention import retain as run

    run(_environ(), dry_run=dry_run)


@cli.group(short_help="Business calendars, departments and targets.")
def config() -> None:
    """Business calendars, departments and targets."""


@config.command("apply", short_help="Apply the file that B2CHAT_CONFIG names.")
@click.option("--restate", is_flag=True, help="Let it hold for the past too: numbers already reported may change.")
@click.option("--user", metavar="EMAIL", help="Whose change this is in the books; an administrator's address.")
def apply_config(*, restate: bool, user: str | None) -> None:
    """Apply the YAML file that B2CHAT_CONFIG names. What is new in it becomes a new version."""
    from b2chat_pipeline.commands.config import apply

    apply(_environ(), restate=restate, user=user)


@config.command("show", short_help="Show what holds, in which versions.")
def show_config() -> None:
    """Show what holds, in which versions."""
    from b2chat_pipeline.commands.config import show

    show(_environ())


@cli.group(short_help="Records that do not fit the tables.")
def quarantine() -> None:
    """Records that do not fit the tables: what they are, and trying again."""


@quarantine.command("list", short_help="Count the open records; no personal data.")
def list_quarantine() -> None:
    """Count the open records by entity, reason and path. Shows no personal data."""
    from b2chat_pipeline.commands.quarantine import list_open

    list_open(_environ())


@quarantine.command("show", short_help="Show one record; MAY BE PERSONAL DATA.")
@click.argument("record_id", metavar="ID")
def show_quarantined(*, record_id: str) -> None:
    """Show one record as it came. THIS MAY BE PERSONAL DATA: names, numbers, what people wrote."""
    from b2chat_pipeline.commands.quarantine import show

    show(_environ(), record_id)


@quarantine.command("replay", short_help="Try the open records again.")
@click.option("--id", "record_id", metavar="ID", help="Only this record.")
@click.option("--entity", type=click.Choice(["chats", "messages", "agents", "contacts"]), help="Only these.")
@click.option("--user", metavar="EMAIL", help="Whose replay this is in the books; an administrator's address.")
def replay_quarantine(*, record_id: str | None, entity: str | None, user: str | None) -> None:
    """Run the open records through today's mapping again. What fits enters once; what does not stays."""
    from b2chat_pipeline.commands.quarantine import replay

    if not replay(_environ(), record_id=record_id, entity=entity, user=user):
        sys.exit(1)


@cli.group(short_help="What administrators were told of trouble.")
def notifications() -> None:
    """What administrators were told of trouble, and of its end."""


@notifications.command("list", short_help="Show what is unread.")
@click.option("--all", "everything", is_flag=True, help="Also what has been read.")
@click.option("--user", metavar="EMAIL", help="Only what this administrator was told.")
def list_notifications(*, everything: bool, user: str | None) -> None:
    """Show what is unread, the newest first, with its ID. Shows no personal data."""
    from b2chat_pipeline.commands.notifications import list_notifications as run

    run(_environ(), user=user, everything=everything)


@notifications.command("read", short_help="Mark as read.")
@click.argument("key", metavar="ID", required=False)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--user", metavar="EMAIL", help="Only for this administrator.")
def read_notifications(*, key: str | None, everything: bool, user: str | None) -> None:
    """Mark a notification as read, or all. What is over becomes unread again, once."""
    from b2chat_pipeline.commands.notifications import read as run

    if (key is None) != everything:
        raise click.UsageError("Say an ID, or --all.")
    run(_environ(), key, user=user)


@cli.command(short_help="Run a local server that behaves like B2Chat.")
@click.option("--port", type=PORT, default=8000, show_default=True)
@click.option("--zone", callback=_zone, default="America/Bogota", show_default=True, help="The account's time zone.")
@click.option("--first-day", type=click.DateTime(["%Y-%m-%d"]), default="2025-01-06", show_default=True)
@click.option("--chats-per-day", type=click.IntRange(0), default=200, show_default=True)
@click.option("--messages-per-chat", type=click.IntRange(0), default=8, show_default=True, help="Mean.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed invents the same account.")
@click.option(
    "--now", type=click.DateTime(["%Y-%m-%dT%H:%M:%S"]), help="Local time its clock starts at. [default: now]"
)
@click.option("--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="0 stands still.")
def simulate(
    *,
    port: int,
    zone: ZoneInfo,
    first_day: datetime,
    chats_per_day: int,
    messages_per_chat: int,
    seed: int,
    now: datetime | None,
    speed: float,
) -> None:
    """Run a local server that behaves like the B2Chat API, with invented data (user and password: demo).

    Below /v1/ it behaves like Claude's API (key: demo), with a set of rules in the place of a model.
    """
    from b2chat_pipeline.commands.ports import require_free
    from b2chat_pipeline.simulator import Clock, Simulator, World, serve

    require_free(port)
    world = World(
        first_day=first_day.date(),
        zone=zone,
        seed=seed,
        chats_per_day=chats_per_day,
        messages_per_chat=messages_per_chat,
    )
    start = now.replace(tzinfo=zone) if now else datetime.now(zone)

    def ready(simulator: Simulator) -> None:
        click.echo(f"A simulated B2Chat API is at {simulator.url} (user demo, password demo). Ctrl-C stops it.")
        click.echo("At the same address a set of rules answers as Claude's API does (key demo, model simulated-judge).")

    serve(world, clock=Clock(start, speed=speed), port=port, username="demo", password="demo", on_ready=ready)  # noqa: S106


def main() -> None:
    """Run the command; what an operator can put right ends in one sentence and its exit status."""
    terminate_like_interrupt()
    # Beside an interruption, it would tell of the transaction that it could not roll back; PostgreSQL does that itself.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    try:
        cli(prog_name="b2chat")
    except OperatorError as error:
        click.echo(f"b2chat: {error}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
