"""What the API shows of the world at an instant: encoded records that hold only what had happened by then.

Belongs here: the two record shapes, and which of a chat's events are visible. Not here: filters and paging (`query`,
`listing`), HTTP (`server`).
"""

import bisect
from datetime import date, datetime
from functools import lru_cache

import msgspec

from b2chat_pipeline.simulator.script import ChatScript, Contact, ContactVersion, Message, Phase
from b2chat_pipeline.simulator.world import World

_VIEWER = "https://app.b2chat.io/viewer"
_VIEWER_KEY = "00000000-0000-4000-8000-000000000000"
_encoder = msgspec.json.Encoder()


def epoch(now: datetime) -> int:
    """The whole epoch second of an aware datetime, rounded down. A naive one is a ValueError."""
    if now.tzinfo is None:
        message = "The simulator asks for aware datetimes; give the instant a time zone."
        raise ValueError(message)
    return int(now.timestamp() // 1)


def chat_json(world: World, day: date, index: int, now: int) -> bytes:
    """One chat as `/chats/export` shows it at `now`, media URLs still unsigned."""
    script = world.chat(day, index)
    happened = bisect.bisect_right(_moments(world, day, index), now)
    known = script.contact is not None and now >= script.contact.later.since
    return _chat_json(world, day, index, happened, known)


def _chat_record(world: World, script: ChatScript, now: int, known: ContactVersion | None) -> dict[str, object]:
    """One chat's record at `now`: the contract's keys, in its order."""
    phase = script.phase(now)
    return {
        "agent": phase.agent
        and {"email": phase.agent.email, "name": phase.agent.name, "username": phase.agent.username},
        "alias": script.alias,
        "chat_id": script.chat_id,
        "closed_at": _clock(world, phase.closed_at),
        "contact": script.contact and known and _embedded_contact(script.contact, known),
        "created_at": _clock(world, script.created_at),
        "department": script.department,
        "duration": None if phase.closed_at is None else _duration(phase.closed_at - script.created_at),
        "is_agent_available": script.is_agent_available,
        "messages": [] if script.agent_started else [_message(world, it) for it in script.messages if it.at <= now],
        "opened_at": _clock(world, phase.opened_at),
        "picked_up_at": _clock(world, phase.picked_up_at),
        "provider": script.provider,
        "responded_at": _clock(world, phase.responded_at),
        "status": phase.status,
        "tags": _chat_tags(script, phase),
        "viewer_url": f"{_VIEWER}/{script.chat_id}/{_VIEWER_KEY}",
    }


def contact_record(
    world: World, contact: Contact, now: int, *, with_attributes: bool, with_tags: bool
) -> dict[str, object]:
    """One contact's record in the full form of `/contacts/export` at `now`."""
    known = contact.version(now)
    attributes = [{"name": name, "value": value} for name, value in known.custom_attributes]
    tags = [{"name": name, "assigned_at": assigned} for name, assigned in known.tags]
    return {
        "contact_id": contact.contact_id,
        "fullname": known.fullname,
        "identification": known.identification,
        "email": known.email,
        "landline": known.landline,
        "mobile": known.mobile,
        "address": known.address,
        "country": known.country,
        "city": known.city,
        "company": known.company,
        "merchant_id": None,
        "created": _clock(world, contact.created),
        "updated": _clock(world, contact.updated(now)),
        "custom_attributes": attributes if with_attributes else None,
        "tags": tags if with_tags else None,
    }


@lru_cache(maxsize=100_000)
def _moments(world: World, day: date, index: int) -> tuple[int, ...]:
    """The instants at which a chat's record changes, ascending."""
    script = world.chat(day, index)
    told = () if script.agent_started else script.messages
    return tuple(sorted({phase.at for phase in script.phases} | {message.at for message in told}))


@lru_cache(maxsize=100_000)
def _chat_json(world: World, day: date, index: int, happened: int, contact_known: bool) -> bytes:  # noqa: FBT001 - cache key
    script = world.chat(day, index)
    contact = script.contact
    known = None if contact is None else contact.later if contact_known else contact.first
    return _encoder.encode(_chat_record(world, script, _moments(world, day, index)[happened - 1], known))


def _embedded_contact(contact: Contact, known: ContactVersion) -> dict[str, object]:
    return {
        "custom_attributes": None,
        "email": known.email,
        "id": contact.contact_id,
        "identification": known.identification,
        "mobile_number": known.mobile,
        "name": known.fullname,
        "phone_number": known.landline,
        "tags": None,
    }


def _message(world: World, message: Message) -> dict[str, object]:
    return {
        "body": message.body,
        "broadcasted": message.broadcasted,
        "caption": message.caption,
        "created_at": _clock(world, message.at),
        "incoming": message.incoming,
        "location": None,
        "type": message.type,
    }


def _chat_tags(script: ChatScript, phase: Phase) -> object:
    if script.provider == "B2CBOTAPI" and not phase.tags:
        return None
    return [{"name": tag} for tag in phase.tags] if script.tags_as_objects else list(phase.tags)


def _clock(world: World, instant: int | None) -> str | None:
    return None if instant is None else world.local(instant).isoformat(sep=" ")


def _duration(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day:02d}:{hour:02d}:{minute:02d}:{second:02d}"
