"""A progress bar over hours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the number of hours that have just been worked off.
Advance = Callable[[int], None]


@contextmanager
def hours_progress(hours: int, *, doing: str = "Loading") -> Iterator[Advance]:
    """A bar that is full when that many hours have been worked off; plain lines where there is no terminal."""
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
        TextColumn("hours"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("hours", total=hours)
        yield lambda done: progress.advance(task, done)
