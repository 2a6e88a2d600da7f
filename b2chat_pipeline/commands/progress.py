"""A progress bar over the work of a command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with how much has just been worked off.
Advance = Callable[[int], None]


@contextmanager
def progress_bar(total: int, *, doing: str, unit: str) -> Iterator[Advance]:
    """A bar that is full when so many units are worked off; plain lines where there is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)
