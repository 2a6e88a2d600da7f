"""The invented account: the same arguments always give the same chats and contacts, day by day.

Belongs here: how many chats a day has, when they are created, who takes part. Not here: a chat's course (`timeline`),
what is visible when (`state`).
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from b2chat_pipeline.simulator import people
from b2chat_pipeline.simulator.script import Agent, ChatScript, Contact
from b2chat_pipeline.simulator.timeline import Cast, write_chat

_DAY = 86_400
# Relative number of chats per account-local hour: an office day with a dip at lunch.
HOURLY_VOLUME = (1, 0.5, 0.3, 0.2, 0.2, 0.5, 2, 6, 14, 18, 19, 18, 11, 9, 14, 17, 16, 13, 8, 5, 4, 3, 2, 1.5)
# Monday to Sunday, relative to `chats_per_day`.
OFFICE_WEEK = (1.12, 1.05, 1.0, 0.98, 0.93, 0.45, 0.2)
FLAT_WEEK = (1.0,) * 7


@dataclass(frozen=True, kw_only=True)
class World:
    """An invented account. Chats exist from `first_day` (account-local) on, without end.

    `contacts` fixes the pool of contacts; without it, a pool at the start, and a newcomer with every seventh chat.
    `messages_per_chat` is a mean. `weekly_shape` multiplies `chats_per_day` from Monday to Sunday.
    """

    first_day: date
    zone: ZoneInfo
    seed: int = 1
    chats_per_day: int = 200
    agent_started_share: float = 0.25
    messages_per_chat: float = 8
    contacts: int | None = None
    weekly_shape: tuple[float, ...] = OFFICE_WEEK

    def random(self, *stream: str | int) -> Random:
        """A generator that depends on the seed and the named stream only."""
        return Random("/".join(map(str, (self.seed, *stream))))

    def chats_on(self, day: date) -> int:
        """How many chats are created on an account-local day."""
        return round(self.chats_per_day * self.weekly_shape[day.weekday()]) if day >= self.first_day else 0

    def created_on(self, day: date) -> tuple[int, ...]:
        """The creation instants of a day's chats in order of their local wall-clock time."""
        return _creation_times(self, day)

    def chat(self, day: date, index: int) -> ChatScript:
        """The chat at a position of its creation day."""
        return _chat(self, day, index)

    def agents(self) -> tuple[Agent, ...]:
        """Everybody who may appear in a chat."""
        return _agents(self)

    def midnight(self, day: date) -> int:
        """The epoch second at which an account-local day begins."""
        return _midnight(self.zone, day)

    def local(self, instant: int) -> datetime:
        """The naive wall-clock time of an epoch second in the account's zone."""
        return datetime.fromtimestamp(instant, self.zone).replace(tzinfo=None, fold=0)

    def known_contacts(self, now: int) -> Iterator[Contact]:
        """Contacts created at or before `now`, by ascending id."""
        pool = (_pool_contact(self, number) for number in range(self.pool_size))
        yield from (contact for contact in pool if contact.created <= now)
        if self.contacts is None:
            yield from self._newcomers(now)

    @property
    def pool_size(self) -> int:
        """How many contacts exist before the first day."""
        return max(20, 4 * self.chats_per_day) if self.contacts is None else self.contacts

    def _newcomers(self, now: int) -> Iterator[Contact]:
        today = self.local(now).date().toordinal()
        for ordinal in range(self.first_day.toordinal(), today + 1):
            day = date.fromordinal(ordinal)
            for index in range(0, self.chats_on(day), 7):
                newcomer = _newcomer(self, day, index)
                if newcomer.created <= now:
                    yield newcomer


@lru_cache(maxsize=10_000)
def _midnight(zone: ZoneInfo, day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


@lru_cache(maxsize=64)
def _agents(world: World) -> tuple[Agent, ...]:
    return people.agents(min(24, 4 + world.chats_per_day // 25))


@lru_cache(maxsize=4_000)
def _creation_times(world: World, day: date) -> tuple[int, ...]:
    rng, count = world.random("day", day.toordinal()), world.chats_on(day)
    start, end = world.midnight(day), world.midnight(date.fromordinal(day.toordinal() + 1))
    hours = rng.choices(range(24), HOURLY_VOLUME, k=count)
    # Spread over the day's real length, so that 23- and 25-hour days are filled from end to end.
    instants = sorted(start + (hour * 3600 + rng.randrange(3600)) * (end - start) // _DAY for hour in hours)
    # The API orders by what it prints; in a repeated hour that is not the order of the instants.
    return tuple(sorted(instants, key=world.local)) if end - start > _DAY else tuple(instants)


@lru_cache(maxsize=100_000)
def _chat(world: World, day: date, index: int) -> ChatScript:
    rng = world.random("chat", day.toordinal(), index)
    cast = Cast(zone=world.zone, agents=world.agents(), contact=_contact_of(world, day, index, rng))
    return write_chat(
        rng,
        created=world.created_on(day)[index],
        cast=cast,
        agent_started_share=world.agent_started_share,
        messages_per_chat=world.messages_per_chat,
    )


def _contact_of(world: World, day: date, index: int, rng: Random) -> Contact:
    if world.contacts is None and index % 7 == 0:
        return _newcomer(world, day, index)
    return _pool_contact(world, int(world.pool_size * rng.random() ** 1.7))


@lru_cache(maxsize=100_000)
def _pool_contact(world: World, number: int) -> Contact:
    rng = world.random("contact", number)
    created = (
        world.midnight(world.first_day) - 365 * _DAY + 364 * _DAY * number // world.pool_size + rng.randrange(_DAY)
    )
    return people.contact(rng, contact_id=70_000_001 + number, created=created)


@lru_cache(maxsize=100_000)
def _newcomer(world: World, day: date, index: int) -> Contact:
    rng = world.random("newcomer", day.toordinal(), index)
    # Room for the busiest weekday, so that ids never clash.
    slots = int(world.chats_per_day * max(world.weekly_shape)) // 7 + 2
    number = (day - world.first_day).days * slots + index // 7
    created = world.created_on(day)[index] - rng.randrange(1, 60)
    return people.contact(rng, contact_id=71_000_001 + number, created=created)


def visible_indexes(world: World, day: date, now: int) -> range | list[int]:
    """Positions of a day's chats that are created at or before `now`."""
    if now >= world.midnight(date.fromordinal(day.toordinal() + 1)):
        return range(world.chats_on(day))
    created = world.created_on(day)
    if all(earlier <= later for earlier, later in pairwise(created)):
        return range(bisect.bisect_right(created, now))
    return [index for index, instant in enumerate(created) if instant <= now]
