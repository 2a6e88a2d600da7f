"""Print how much personal data the redaction finds: `python -m b2chat_pipeline_tests.personal_data --seed 7`."""

import click

from b2chat_pipeline_tests.personal_data.recall import all_recalls, changed_ordinary


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another one makes other variants.")
@click.option("--number", default=1000, show_default=True, help="Variants of each kind.")
@click.option("--missed", default=0, show_default=True, help="Show so many of each kind that were missed.")
def main(seed: int, number: int, missed: int) -> None:
    """Tell of each kind how many variants are found, how the others are written, and which ordinary texts change."""
    for recall in all_recalls(number, seed):
        click.echo(f"{recall.kind}: {recall.share:.1%} of {number} found")
        for way, times in recall.missed.most_common():
            click.echo(f"  {way}: {times} of {recall.planted[way]} missed")
        for variant, left in recall.examples[:missed]:
            click.echo(f"    {variant.text!r} -> {left!r}")
    changed = list(changed_ordinary(number, seed))
    click.echo(f"ordinary sentences: {1 - len(changed) / number:.1%} of {number} left as they are")
    for about, before, after in changed[:missed]:
        click.echo(f"    {about}: {before!r} -> {after!r}")


if __name__ == "__main__":
    main()
