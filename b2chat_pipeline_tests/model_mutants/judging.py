"""What becomes of the mutants of a model: noticed, not noticed, or without a meaning of their own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from b2chat_pipeline.transform.models import Model
from b2chat_pipeline_tests.model_mutants.equivalent import EQUIVALENT
from b2chat_pipeline_tests.model_mutants.mutations import Mutant, mutants, unchanged
from b2chat_pipeline_tests.model_mutants.proofs import Proofs, Refused

# Shows how far a list was worked through.
Progress = Callable[[Iterable[Mutant]], Iterable[Mutant]]


class WrongAsItIsError(Exception):
    """A model that is noticed although nothing was changed: its mutants would teach nothing."""


@dataclass(frozen=True)
class Judged:
    """What the mutants of some models came to."""

    killed: int = 0
    # No queries for PostgreSQL.
    refused: int = 0
    # Not noticed, and listed as meaning the same.
    equivalent: int = 0
    survivors: list[Mutant] = field(default_factory=list)

    @property
    def meaningful(self) -> int:
        """Those that say something else than the model."""
        return self.killed + len(self.survivors)

    def __add__(self, other: "Judged") -> "Judged":
        return Judged(
            self.killed + other.killed,
            self.refused + other.refused,
            self.equivalent + other.equivalent,
            [*self.survivors, *other.survivors],
        )


def judge(proofs: Proofs, model: Model, progress: Progress = lambda made: made) -> Judged:
    """Hold every mutant of a model against what is known of it. Raises WrongAsItIsError."""
    target = proofs.target_of(model)
    if proofs.refute(model, unchanged(target, model)):
        raise WrongAsItIsError(f"{model.name} is not what is computed of it: run its tests first.")
    made = list(mutants(target, model, proofs.types, proofs.never_null(model)))
    return sum((_judged(proofs, model, mutant) for mutant in progress(made)), Judged())


def _judged(proofs: Proofs, model: Model, mutant: Mutant) -> Judged:
    try:
        if proofs.refute(model, mutant.sql):
            return Judged(killed=1)
    except Refused:
        return Judged(refused=1)
    return Judged(equivalent=1) if mutant.key in EQUIVALENT else Judged(survivors=[mutant])
