"""What was measured, for people and for programs.

Not here: measuring.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

REPORT = Path("build/bench.json")


@dataclass(frozen=True)
class Measure:
    """A number with the target it is held against, the value of every round, and what they were made of."""

    name: str
    meaning: str
    target: float
    better: Literal["more", "less"]
    rounds: Sequence[float]
    seen: str = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.target if self.better == "more" else self.value <= self.target


def median_of(name: str, values: Sequence[float], unit: str = "s") -> str:
    """`name 1.23 s`, of the median."""
    return f"{name} {median(values):.2f} {unit}"


def write_report(measures: Sequence[Measure], path: Path = REPORT) -> None:
    """Write name -> value, target, better; what an earlier run measured besides stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    new = {it.name: {"value": round(it.value, 3), "target": it.target, "better": it.better} for it in measures}
    path.write_text(json.dumps(known | new, indent=2) + "\n", encoding="utf-8")


def print_report(measures: Sequence[Measure]) -> None:
    """Show all measures as one table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "measure", "value", "target", "rounds", "made of", title="Ratios within this run: median of the rounds"
    )
    for it in measures:
        sign = "at least" if it.better == "more" else "at most"
        rounds = ", ".join(f"{value:.2f}" for value in it.rounds)
        style = "green" if it.met else "red"
        table.add_row(it.meaning, f"[{style}]{it.value:.2f}[/]", f"{sign} {it.target:g}", rounds, it.seen)
    Console().print(table)
