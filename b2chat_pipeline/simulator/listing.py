"""Which records match a request, in which order.

Belongs here: filtering and ordering the world. Not here: encoding (`state`), faults, HTTP.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from b2chat_pipeline.simulator.query import ChatQuery, ContactQuery, Days
from b2chat_pipeline.simulator.script import ChatScript, Contact
from b2chat_pipeline.simulator.world import World, visible_indexes


@dataclass(frozen=True)
class DaySpan:
    """Matching chats of one creation day: their positions, ascending."""

    day: date
    indexes: range | list[int]


def matching_chats(world: World, query: ChatQuery, now: int) -> list[DaySpan]:
    """The chats that match, day by day in ascending order."""
    today = world.local(now).date()
    first = max(world.first_day, query.created.first or world.first_day).toordinal()
    last = min(today, query.created.last or today).toordinal()
    days = (date.fromordinal(ordinal) for ordinal in range(first, last + 1))
    spans = (DaySpan(day, visible_indexes(world, day, now)) for day in days)
    if query.provider or query.agent_lookup or query.contact_lookup:
        spans = (_filtered(world, span, query, now) for span in spans)
    return list(spans)


def chat_refs(spans: list[DaySpan], *, descending: bool) -> Iterator[tuple[date, int]]:
    """The chats of the spans in the order asked for: by creation time, ties by position."""
    for span in reversed(spans) if descending else spans:
        indexes = reversed(span.indexes) if descending else span.indexes
        for index in indexes:
            yield span.day, index


def matching_contacts(world: World, query: ContactQuery, now: int) -> list[Contact]:
    """The contacts that match, ordered by the filtered date; without such a filter by id, whatever is asked for."""
    found = [it for it in world.known_contacts(now) if _contact_matches(world, it, query, now)]
    if query.updated is not None:
        found.sort(key=lambda it: (it.updated(now), it.contact_id), reverse=query.descending)
    elif query.created is not None:
        found.sort(key=lambda it: (it.created, it.contact_id), reverse=query.descending)
    return found


def _filtered(world: World, span: DaySpan, query: ChatQuery, now: int) -> DaySpan:
    return DaySpan(
        span.day, [index for index in span.indexes if _chat_matches(world.chat(span.day, index), query, now)]
    )


def _chat_matches(script: ChatScript, query: ChatQuery, now: int) -> bool:
    if query.provider and not script.provider.lower().startswith(query.provider):
        return False
    if query.agent_lookup:
        agent = script.phase(now).agent
        if agent is None or agent.username != query.agent_lookup:
            return False
    return not query.contact_lookup or (
        script.contact is not None and _found(script.contact, query.contact_lookup, now, by_email=True)
    )


def _found(contact: Contact, wanted: str, now: int, *, by_email: bool) -> bool:
    known = contact.version(now)
    texts = (str(contact.contact_id), known.fullname, known.mobile, known.email if by_email else "")
    return any(wanted.lower() in text.lower() for text in texts)


def _contact_matches(world: World, contact: Contact, query: ContactQuery, now: int) -> bool:
    return (
        _within(world, query.created, contact.created)
        and _within(world, query.updated, contact.updated(now))
        and all(_found(contact, wanted, now, by_email=False) for wanted in query.lookups)
    )


def _within(world: World, days: Days | None, instant: int) -> bool:
    return days is None or days.holds(world.local(instant).date())
