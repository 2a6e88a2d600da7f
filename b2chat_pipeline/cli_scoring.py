"""The part of the `b2chat` command that is about scoring conversations.

Here belongs how a command is called. Not here: what it does (`commands/`).
"""

import sys
from pathlib import Path

import click

from b2chat_pipeline.commands.environment import environ


@click.command(short_help="Have conversations scored by a model.")
@click.argument("start", metavar="[FROM", required=False)
@click.argument("end", metavar="TO]", required=False)
@click.option("--check", is_flag=True, help="Only ask the service whether it would take our requests; free.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent and what it could cost; nothing leaves.")
@click.option("--batch", is_flag=True, help="In batches, at half the price; takes minutes, at times an hour or more.")
@click.option("--labelled", is_flag=True, help="The conversations that people have judged, instead of days.")
@click.option("--prompt", metavar="VERSION", help="With --labelled: try this prompt; its scores are not reported.")
@click.option("--model", metavar="MODEL", help="With --labelled: try this model; its scores are not reported.")
@click.option("--user", metavar="EMAIL", help="Whose request this is in the books; an administrator's address.")
def score(  # noqa: PLR0913 - one for each option
    *,
    start: str | None,
    end: str | None,
    check: bool,
    dry_run: bool,
    batch: bool,
    labelled: bool,
    prompt: str | None,
    model: str | None,
    user: str | None,
) -> None:
    """Have the conversations scored that were closed from FROM to before TO. Needs built metrics (`b2chat build`).

    What is scored already is not paid again. The exit status is 1 where the service stopped answering, or would not.
    """
    from b2chat_pipeline.commands import score as command

    if check:
        if not command.check(environ()):
            sys.exit(1)
        return
    if batch and labelled:
        raise click.UsageError("Labelled conversations are few, and scored one by one: leave out --batch.")
    if (prompt or model) and not labelled:
        raise click.UsageError("What is on trial scores labelled conversations only: add --labelled.")
    which: command.Which
    if labelled and start is None:
        which = command.Labelled(prompt, model)
    elif start and end and not labelled:
        which = command.Days(start, end)
    else:
        raise click.UsageError("Say FROM and TO (the first day, and the first one not scored any more), or --labelled.")
    if dry_run:
        command.preview(environ(), which, in_batches=batch)
        return
    if batch and isinstance(which, command.Days):
        took_all = command.score_in_batches(environ(), which, user=user)
    else:
        took_all = command.score(environ(), which, user=user)
    if not took_all:
        sys.exit(1)


@click.group(short_help="Conversations judged by people.")
def labels() -> None:
    """Conversations judged by people: what scores are compared with."""


@labels.command("template", short_help="Print a CSV to judge conversations in.")
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
def template(*, start: str, end: str) -> None:
    """Print a CSV with a line for each chat closed from FROM to before TO that can be scored.

    Leave out what you will not judge. A level is 0, 25, 50, 75 or 100 as docs/scoring.md says, or empty where the
    messages do not tell. The labeller is a code that you agree on, never a name.
    """
    from b2chat_pipeline.commands.labels import template as run

    run(environ(), start=start, end=end)


@labels.command("import", short_help="Import a CSV of judged conversations.")
@click.argument("file", metavar="CSV", type=click.Path(path_type=Path))
@click.option("--user", metavar="EMAIL", help="Whose import this is in the books; an administrator's address.")
def import_labels(*, file: Path, user: str | None) -> None:
    """Import a CSV of judged conversations, all or nothing; again, it changes nothing.

    The exit status is 1 where it names chats that are not loaded.
    """
    from b2chat_pipeline.commands.labels import import_file

    if not import_file(environ(), file, user=user):
        sys.exit(1)


@click.group(short_help="Prompts and models that conversations are scored by.")
def prompt() -> None:
    """Prompts and models that conversations are scored by: how far they agree with people, and which is active."""


@prompt.command("list", short_help="Show all, and how far they agree with people.")
def list_prompts() -> None:
    """Show every prompt and model, which of them is active, and how far they agree with people's labels."""
    from b2chat_pipeline.commands.prompts import list_prompts as run

    run(environ())


@prompt.command("promote", short_help="Score by another prompt or model from now on.")
@click.argument("version")
@click.option("--model", metavar="MODEL", help="Together with this model. [default: the active one]")
@click.option("--user", metavar="EMAIL", help="Whose decision this is in the books; an administrator's address.")
def promote(*, version: str, model: str | None, user: str | None) -> None:
    """Score by the prompt VERSION from now on, where it does not lose against the active one on labelled chats."""
    from b2chat_pipeline.commands.prompts import promote as run

    run(environ(), version, model=model, user=user)
