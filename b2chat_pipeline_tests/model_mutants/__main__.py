"""Make every mutant of the SQL models, and tell which nobody notices: `make mutants ARGS="--only chat_metrics"`."""

import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from b2chat_pipeline.transform.models import Model
from b2chat_pipeline.transform.project import models_folder, read_project
from b2chat_pipeline_tests.model_mutants.judging import Judged, judge
from b2chat_pipeline_tests.model_mutants.mutations import Mutant
from b2chat_pipeline_tests.model_mutants.proofs import Proofs, proofs_of
from b2chat_pipeline_tests.postgres import session_server

_WANTED_SHARE = 0.95


@click.command()
@click.option("--only", multiple=True, metavar="MODEL", help="Judge the mutants of this model; can be repeated.")
def main(only: Sequence[str]) -> None:
    """Tell of each model how many mutants are noticed, and each that is not, with its line.

    Fails where less than 95 % are noticed of those that say something else than the model.
    """
    project = read_project(models_folder())
    names = _chosen(only, project.models)
    total = Judged()
    with (
        tempfile.TemporaryDirectory(prefix="b2chat-mutants-") as directory,
        session_server(Path(directory)) as server,
        proofs_of(server, project, names) as proofs,
    ):
        for name in names:
            total += _told(proofs, project.models[name])
    click.echo(_summary("all", total))
    sys.exit(total.killed < _WANTED_SHARE * total.meaningful)


def _chosen(only: Sequence[str], known: Collection[str]) -> list[str]:
    unknown = sorted(set(only).difference(known))
    if unknown:
        raise click.UsageError(f"There is no model {', '.join(unknown)}: dbt_like_sql/models/ has their names.")
    return [name for name in known if name in only or not only]


def _told(proofs: Proofs, model: Model) -> Judged:
    if not proofs.know(model):
        click.echo(f"{model.name}: nothing computes it a second time")
        return Judged()
    judged = judge(proofs, model, partial(_shown, model.name))
    click.echo(_summary(model.name, judged))
    for mutant in judged.survivors:
        click.echo(f"  {model.place.file.as_posix()}:{mutant.line}: {mutant.change}")
    return judged


def _shown(name: str, made: Iterable[Mutant]) -> Iterator[Mutant]:
    with click.progressbar(list(made), label=name, file=sys.stderr) as shown:
        yield from shown


def _summary(name: str, judged: Judged) -> str:
    return (
        f"{name}: {judged.killed} of {judged.meaningful} noticed;"
        f" {judged.equivalent} mean the same, {judged.refused} are no queries"
    )


if __name__ == "__main__":
    main()
