"""What levels add up to. Pure; the model never sees or returns any of these numbers.

Sources: the data dictionary for effectiveness, docs/metrics.md for the response time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RESOLUTION_SHARE, SATISFACTION_SHARE = 0.6, 0.4
# Without this criterion there is no score.
DECISIVE = "matter_settled"
# What each criterion counts. Without its first one, a mean is not known.
RESOLUTION = {DECISIVE: 0.6, "questions_answered": 0.25, "next_step_clear": 0.15}
SATISFACTION = {"satisfaction": 0.7, "ease": 0.3}
# A chat in which no customer's message was ever answered cannot be settled better than this.
_UNANSWERED_CEILING = 25.0


@dataclass(frozen=True)
class ResponseClock:
    """The first response of a chat as its promise counts it, in seconds, calendar or business."""

    elapsed_seconds: float
    target_seconds: float


@dataclass(frozen=True)
class LevelScores:
    """What levels alone add up to, 0 to 100, whoever gave them; None where they do not tell."""

    resolution: float | None
    satisfaction: float | None

    @property
    def effectiveness(self) -> float | None:
        """None where either is not known: nothing is compared that stands for less than it says."""
        if self.resolution is None or self.satisfaction is None:
            return None
        return effectiveness(self.resolution, self.satisfaction)


@dataclass(frozen=True)
class Scores:
    """The numbers of one scoring, 0 to 100. Where the satisfaction is not known, effectiveness is the resolution."""

    resolution: float
    satisfaction: float | None
    response_time: float

    @property
    def effectiveness(self) -> float:
        """0.6 resolution + 0.4 satisfaction."""
        if self.satisfaction is None:
            return self.resolution
        return effectiveness(self.resolution, self.satisfaction)

    @property
    def satisfaction_basis(self) -> Literal["messages", "none"]:
        """What the satisfaction rests on; where it is none, the row belongs into no average of effectiveness."""
        return "none" if self.satisfaction is None else "messages"


def scores(levels: Mapping[str, int], clock: ResponseClock) -> Scores | None:
    """The scores of a chat by the levels that have evidence; None where it is not known whether it was settled."""
    by_levels = level_scores(levels)
    if by_levels.resolution is None:
        return None
    return Scores(by_levels.resolution, by_levels.satisfaction, response_time_score(clock))


def level_scores(levels: Mapping[str, int]) -> LevelScores:
    """What the known levels add up to."""
    return LevelScores(_mean(levels, RESOLUTION), _mean(levels, SATISFACTION))


def effectiveness(resolution: float, satisfaction: float) -> float:
    """0.6 resolution + 0.4 satisfaction."""
    return RESOLUTION_SHARE * resolution + SATISFACTION_SHARE * satisfaction


def response_time_score(clock: ResponseClock) -> float:
    """100 up to the target, falling evenly to 0 at four times the target."""
    beyond = (clock.elapsed_seconds - clock.target_seconds) / (3 * clock.target_seconds)
    return 100.0 * (1 - min(1.0, max(0.0, beyond)))


def contradiction(scored: Scores, *, answered_turns: int) -> str | None:
    """Which hard fact a score contradicts, for a person to look at; None where it contradicts none."""
    if answered_turns == 0 and scored.resolution > _UNANSWERED_CEILING:
        return "no message of the customer was answered, yet the matter is said to be settled"
    return None


def _mean(levels: Mapping[str, int], shares: Mapping[str, float]) -> float | None:
    """The weighted mean of the known levels; None where the first, the one that decides, is not known."""
    decisive = next(iter(shares))
    if decisive not in levels:
        return None
    known = {name: share for name, share in shares.items() if name in levels}
    return sum(share * levels[name] for name, share in known.items()) / sum(known.values())
