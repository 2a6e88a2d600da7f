"""Whether a judge on trial loses against the active one, by chats that people and both have judged. Pure.

The rule: on at least 50 such chats, resampled a thousand times as whole chats, the mean weighted kappa of the criteria
may be lower by 0.10, and the mean absolute error of the levels higher by 5 points, only with a probability below 5 %;
and the judge on trial may lack at most one in twenty of the labelled chats that the active one has scored.

Source of kappa: J. Cohen, Weighted kappa, Psychological Bulletin 70 (1968); of the interval: B. Efron's bootstrap.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from b2chat_pipeline.analysis.rubric import NAMES

FEWEST = 50
KAPPA_MARGIN, ERROR_MARGIN = 0.10, 5.0
MOST_MISSING = 0.05
_RESAMPLES = 1000
_CHANCE = 0.05


@dataclass(frozen=True)
class Judged:
    """A chat as a person, the active judge and the one on trial judged it: levels by criterion."""

    label: Mapping[str, int]
    active: Mapping[str, int]
    trial: Mapping[str, int]


@dataclass(frozen=True)
class Agreement:
    """How far a judge agrees with people: mean weighted kappa, and mean absolute error in points."""

    kappa: float
    error: float


@dataclass(frozen=True)
class Comparison:
    """Both judges on the same chats, and the worst that chance leaves likely; None without a chat to compare."""

    chats: int
    # Labelled chats that the active judge has scored, and the one on trial has not.
    missing: int
    active: Agreement | None = None
    trial: Agreement | None = None
    # Bounds at 95 % of how much lower kappa, and how much higher the error may be.
    kappa_loss: float | None = None
    error_growth: float | None = None


def compare(chats: Sequence[Judged], missing: int) -> Comparison:
    """Compare two judges. The resamples are the same for the same chats."""
    active, trial = _agreement(chats, [it.active for it in chats]), _agreement(chats, [it.trial for it in chats])
    if len(chats) < FEWEST or active is None or trial is None:
        return Comparison(len(chats), missing, active, trial)
    losses, growths = zip(*_differences(chats), strict=True)
    return Comparison(len(chats), missing, active, trial, _upper(losses), _upper(growths))


def objection(found: Comparison) -> str | None:
    """Why the judge on trial must not be promoted, and what to do; None where it does not lose."""
    if found.chats >= FEWEST and found.kappa_loss is None:
        return "all levels of its labelled chats are the same, which says nothing: label chats of other kinds"
    if found.kappa_loss is None or found.error_growth is None:
        return (
            f"only {found.chats} labelled chats are scored by both judges, and {FEWEST} are needed: label more, import"
            " them, and have both score them by `b2chat score --labelled`"
        )
    if found.missing > MOST_MISSING * (found.chats + found.missing):
        return (
            f"{found.missing} of {found.chats + found.missing} labelled chats that the active judge has scored lack a"
            " score by this one: have it score them by `b2chat score --labelled`, or look into ops.analysis_outcomes"
        )
    if found.kappa_loss > KAPPA_MARGIN:
        return (
            f"its weighted kappa may be lower by {found.kappa_loss:.2f}, and {KAPPA_MARGIN:.2f} is allowed: improve the"
            " prompt, or label more chats to know it better"
        )
    if found.error_growth > ERROR_MARGIN:
        return (
            f"its mean absolute error may be higher by {found.error_growth:.1f} points, and {ERROR_MARGIN:.0f} are"
            " allowed: improve the prompt, or label more chats to know it better"
        )
    return None


def weighted_kappa(labels: Sequence[int], scores: Sequence[int]) -> float | None:
    """Cohen's kappa with squared weights; None where neither varies, so that chance alone agrees."""
    by_chance = pvariance(labels) + pvariance(scores) + (fmean(labels) - fmean(scores)) ** 2
    if not by_chance:
        return None
    return 1 - fmean((label - score) ** 2 for label, score in zip(labels, scores, strict=True)) / by_chance


def _differences(chats: Sequence[Judged]) -> list[tuple[float, float]]:
    """By how much the judge on trial is worse in each resample: loss of kappa, growth of the error."""
    draw = random.Random(len(chats))  # noqa: S311 - not for secrets
    found = []
    for _ in range(_RESAMPLES):
        some = draw.choices(chats, k=len(chats))
        active, trial = _agreement(some, [it.active for it in some]), _agreement(some, [it.trial for it in some])
        if active is not None and trial is not None:
            found.append((active.kappa - trial.kappa, trial.error - active.error))
    return found


def _agreement(chats: Sequence[Judged], levels: Sequence[Mapping[str, int]]) -> Agreement | None:
    """Of one judge's levels, by what people and both judges have a level of."""
    kappas, errors = [], []
    for name in NAMES:
        pairs = [
            (chat.label[name], judged[name])
            for chat, judged in zip(chats, levels, strict=True)
            if name in chat.label and name in chat.active and name in chat.trial
        ]
        if not pairs:
            continue
        errors += [abs(score - label) for label, score in pairs]
        kappa = weighted_kappa([label for label, _ in pairs], [score for _, score in pairs])
        if kappa is not None:
            kappas.append(kappa)
    return Agreement(fmean(kappas), fmean(errors)) if kappas else None


def _upper(values: Sequence[float]) -> float:
    """What only one in twenty resamples is above."""
    return sorted(values)[int((1 - _CHANCE) * len(values)) - 1]
