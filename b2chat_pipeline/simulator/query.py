"""What a request asks for: parameters of the query string and of a JSON body, merged, checked and typed.

Belongs here: names, forms, defaults and limits of parameters. Not here: what matches them (`listing`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

MAX_LIMIT = 1000
PROVIDER_FILTERS = ("whatsapp", "facebook", "telegram", "livechat", "b2cbotapi")


class BadParameter(ValueError):  # noqa: N818 - the condition's own name
    """A parameter the API answers with 422."""


@dataclass(frozen=True, kw_only=True)
class Days:
    """Account-local days, both included; None is open."""

    first: date | None
    last: date | None

    def holds(self, day: date) -> bool:
        """Whether a day lies within."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, kw_only=True)
class ChatQuery:
    """A checked `/chats/export` request."""

    limit: int
    offset: int
    descending: bool
    created: Days
    contact_lookup: str | None
    provider: str | None
    agent_lookup: str | None
    by_mail: bool


@dataclass(frozen=True, kw_only=True)
class ContactQuery:
    """A checked `/contacts/export` request."""

    limit: int
    offset: int
    descending: bool
    created: Days | None
    updated: Days | None
    lookups: tuple[str, ...]
    skip_custom_attributes: bool
    skip_tags: bool


def merged_parameters(query: Mapping[str, str], body: bytes) -> dict[str, object]:
    """The query string's parameters over the body's, flattened with `_`; BadParameter if that is no JSON object."""
    if not body.strip():
        return dict(query)
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        message = "The request body is not a JSON object"
        raise BadParameter(message) from error
    filters = told.pop("filters", None) or {}
    if not isinstance(filters, dict):
        message = "filters must be an object"
        raise BadParameter(message)
    return {**_flattened({**told, **filters}), **query}


def chat_query(given: Mapping[str, object]) -> ChatQuery:
    """Check the parameters of `/chats/export`; BadParameter names the one that does not fit."""
    provider = _text(given, "messaging_provider")
    if provider is not None and provider not in PROVIDER_FILTERS:
        message = f"messaging_provider must be one of {', '.join(PROVIDER_FILTERS)}"
        raise BadParameter(message)
    return ChatQuery(
        limit=_limit(given),
        offset=_whole(given, "offset", default=0, least=0),
        descending=_descending(given),
        created=_days(given, "date_range") or Days(first=None, last=None),
        contact_lookup=_text(given, "contact_lookup"),
        provider=provider,
        agent_lookup=_text(given, "agent_lookup"),
        by_mail=_text(given, "email_recipient") is not None,
    )


def contact_query(given: Mapping[str, object]) -> ContactQuery:
    """Check the parameters of `/contacts/export`; BadParameter names the one that does not fit."""
    return ContactQuery(
        limit=_limit(given),
        offset=_whole(given, "offset", default=0, least=0),
        descending=_descending(given),
        created=_days(given, "created"),
        updated=_days(given, "updated"),
        lookups=_lookups(given.get("contact_lookup")),
        skip_custom_attributes=_flag(given, "skip_custom_attributes", default=True),
        skip_tags=_flag(given, "skip_tags", default=True),
    )


def _flattened(told: Mapping[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in told.items():
        if isinstance(value, dict):
            flat.update({f"{name}_{inner}": it for inner, it in value.items()})
        else:
            flat[name] = value
    return flat


def _limit(given: Mapping[str, object]) -> int:
    return min(_whole(given, "limit", default=MAX_LIMIT, least=1), MAX_LIMIT)


def _whole(given: Mapping[str, object], name: str, *, default: int, least: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least:
        message = f"{name} must be a whole number not below {least}"
        raise BadParameter(message)
    return number


def _text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    return None if value is None or value == "" else str(value)


def _descending(given: Mapping[str, object]) -> bool:
    order = str(given.get("order_dir", "desc")).lower()
    if order not in {"asc", "desc"}:
        message = "order_dir must be asc or desc"
        raise BadParameter(message)
    return order == "desc"


def _flag(given: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = str(given.get(name, default)).lower()
    if value not in {"true", "false"}:
        message = f"{name} must be true or false"
        raise BadParameter(message)
    return value == "true"


def _days(given: Mapping[str, object], name: str) -> Days | None:
    first, last = _day(given, f"{name}_from"), _day(given, f"{name}_to")
    if first is None and last is None:
        return None
    if first is not None and last is not None and first >= last:
        message = f"{name}.from must be less than {name}.to"
        raise BadParameter(message)
    return Days(first=first, last=last)


def _day(given: Mapping[str, object], name: str) -> date | None:
    value = _text(given, name)
    if value is None:
        return None
    try:
        if len(value) == len("2025-03-03"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    message = f"{name} must be a date in the form YYYY-MM-DD"
    raise BadParameter(message)


def _lookups(value: object) -> tuple[str, ...]:
    """The values looked for: one string, or the body's list of `{field, value}`."""
    if value is None or value == "":
        return ()
    if not isinstance(value, list):
        return (str(value),)
    try:
        return tuple(str(it["value"]) for it in value)
    except (TypeError, KeyError) as error:
        message = "contact_lookup must be a list of objects with field and value"
        raise BadParameter(message) from error
