"""What holds when: periods of time with a content, compared and cut. Pure.

Here belongs why a new configuration leaves the past as it was. Not here: tables (`applying.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

Content = Mapping[str, object]


@dataclass(frozen=True)
class Period:
    """A content from one instant to before another; None: since ever, without end."""

    valid_from: datetime | None
    valid_to: datetime | None
    content: Content


def consecutive(starts: Sequence[tuple[datetime | None, Content]]) -> list[Period]:
    """Periods that begin at some instants, in order, each lasting until the next begins."""
    ends = [start for start, _ in starts[1:]] + [None]
    return [Period(start, end, content) for (start, content), end in zip(starts, ends, strict=True)]


def since(periods: Iterable[Period], instant: datetime | None) -> list[Period]:
    """What of some periods lies at or after an instant, equal neighbours joined; None: all of them."""
    later: list[Period] = []
    for period in periods:
        if instant is not None and period.valid_to is not None and period.valid_to <= instant:
            continue
        begins = _latest(period.valid_from, instant)
        before = later[-1] if later else None
        if before is not None and before.valid_to == begins and before.content == period.content:
            later[-1] = replace(before, valid_to=period.valid_to)
        else:
            later.append(replace(period, valid_from=begins))
    return later


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [instant for instant in (one, other) if instant is not None]
    return max(known, default=None)
