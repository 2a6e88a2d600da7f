"""Damaged records, each with what must become of it: the same seed always damages the same way.

Here belongs damage, and the fate that the design gives it. Not here: anything imported from the pipeline; what is to be
counted is counted here by rules written down a second time.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

# loads: in the table; aside: whole in quarantine; outside: its own clock lies outside every hour asked for.
Fate = Literal["loads", "aside", "outside"]
Record = dict[str, Any]

LONG, LARGE = "x" * 501, "x" * 1_000_000
NUL, SURROGATE, EMOJI, ARABIC = "a\0b", "a\ud800b", "👩\u200d👩\u200d👧 🇨🇴", "\u202eمرحبا بكم"  # noqa: RUF001
OTHER_TYPES: tuple[Any, ...] = (7, -1, 10**30, 1.5, True, [], ["a"], {}, {"a": {"b": [None]}}, [[[[]]]])
UNREADABLE = ("0000-00-00 00:00:00", "20250-01-01 00:00:00", "yesterday", "2025-02-30 10:00:00", "2025-11-01 25:00:00")
SKIPPED, TWICE = "2025-03-09 02:30:00", "2025-11-02 01:30:00"
LONG_AGO = "1999-01-01 00:00:00"
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]


class Raw(str):
    """Bytes that no encoder writes, to stand in the place of a value."""

    __slots__ = ()


@dataclass(frozen=True)
class Damage:
    """What is done to one field, and what must come of it."""

    value: Any
    fate: Fate = "loads"
    # The entities of parts that must be put aside alone.
    aside: tuple[str, ...] = ()
    # Columns whose value the damage decides.
    columns: Mapping[str, Any] = field(default_factory=dict)


class Gone:
    """The value of a field that is not told."""


def _text(rng: Random) -> Damage:
    return Damage(rng.choice([None, Gone, "", NUL, SURROGATE, EMOJI, ARABIC, Raw('"\xff"')]))


def _other_type(rng: Random) -> Damage:
    return Damage(rng.choice(OTHER_TYPES), "aside")


def _optional_text(rng: Random) -> Damage:
    return (_other_type if rng.random() < 0.3 else _text)(rng)


def _vocabulary(column: str, unknown: str) -> Callable[[Random], Damage]:
    def damage(rng: Random) -> Damage:
        if rng.random() < 0.3:
            return _other_type(rng)
        told = rng.choice(["FROZEN_SOLID", EMOJI, NUL, "x" * 2000, None, Gone])
        return Damage(told, columns={column: unknown})

    return damage


def _indexed_text(rng: Random) -> Damage:
    return (
        Damage(rng.choice([LONG, LARGE[:100_000], Raw("NaN")]), "aside") if rng.random() < 0.4 else _optional_text(rng)
    )


def _clock(column: str) -> Callable[[Random], Damage]:
    def damage(rng: Random) -> Damage:
        told, flag = rng.choice(
            [(SKIPPED, "nonexistent"), (TWICE, "ambiguous"), *((text, "unreadable") for text in UNREADABLE)]
        )
        return Damage(told, columns={f"{column} flag": flag}) if rng.random() < 0.7 else _other_type(rng)

    return damage


def _key(rng: Random) -> Damage:
    if rng.random() < 0.3:
        return Damage(f"clash-{rng.randrange(20)}")
    return Damage(rng.choice([None, Gone, "", " ", LONG, NUL, SURROGATE, 1.5, True, [], {}, [["c"]]]), "aside")


def _creation(rng: Random) -> Damage:
    if rng.random() < 0.2:
        return Damage(LONG_AGO, "outside")
    return Damage(rng.choice([None, Gone, "", 7, [], *UNREADABLE]), "aside")


def _person(entity: str, key: str, others: tuple[str, ...]) -> Callable[[Random], Damage]:
    def damage(rng: Random) -> Damage:
        kind = rng.randrange(4)
        if kind == 0:
            return Damage(rng.choice([None, Gone, {}, "", {key: None}]), columns={entity[:-1]: None})
        if kind == 1:
            odd = rng.choice([7, [], [{}], "somebody", {others[0]: "Nobody Known"}, {key: [], others[0]: "x"}])
            return Damage(odd, aside=(entity,), columns={entity[:-1]: None})
        if kind == 2:
            return Damage({key: rng.choice(["", LONG, NUL, SURROGATE])}, aside=(entity,), columns={entity[:-1]: None})
        name = f"{entity}-{rng.randrange(50)}{rng.choice(['', EMOJI, ARABIC])}"
        told = {key: name, rng.choice(others): rng.choice(["", NUL, SURROGATE, EMOJI, ARABIC, LARGE[:20_000]])}
        return Damage(told, columns={entity[:-1]: name})

    return damage


def _contact_inside(rng: Random) -> Damage:
    if rng.random() < 0.2:
        told = {"id": 5, rng.choice(["email", "mobile_number", "phone_number"]): LONG}
        return Damage(told, aside=("contacts",), columns={"contact": None})
    if rng.random() < 0.2:
        odd = rng.choice([DEEP, {NUL: [SURROGATE]}, 10**400, Raw("1e999"), [None], "x"])
        return Damage({"id": "odd-attributes", "custom_attributes": odd}, columns={"contact": "odd-attributes"})
    return _person("contacts", "id", ("name", "identification"))(rng)


def _department(rng: Random) -> Damage:
    kind = rng.randrange(3)
    if kind == 0:
        told = rng.choice([None, Gone, "", "  ", {}, {"id": 7, "name": None}, {"name": " "}])
        return Damage(told, columns={"department": None})
    if kind == 1:
        odd = rng.choice([7, True, ["Ventas"], {"name": 7}, LONG, NUL, SURROGATE])
        return Damage(odd, aside=("departments",), columns={"department": None})
    name = rng.choice([f"Same slug {EMOJI}", "Same slug!", "same-slug", ARABIC, "x" * 500])
    return Damage(rng.choice([name, {"name": name, "id": 3}, f" {name} "]), columns={"department": name})


def _tags(rng: Random) -> Damage:
    told, tags = rng.choice(
        [
            (None, ()),
            (Gone, ()),
            ([None], ()),
            ([7, "VIP", {}, {"name": "Moroso"}, ["x"]], ("VIP", "Moroso")),
            ([f"tag {number}" for number in range(600)], tuple(f"tag {number}" for number in range(600))),
            ([EMOJI, ARABIC, EMOJI], (EMOJI, ARABIC)),
            ([NUL], ("a\N{REPLACEMENT CHARACTER}b",)),
        ]
    )
    if rng.random() < 0.2:
        return Damage(rng.choice([7, "VIP", {"name": "VIP"}, [LONG]]), "aside")
    return Damage(told, columns={"tags": tags})


def _messages_of(record: Record) -> Callable[[Random], Damage]:
    def damage(rng: Random) -> Damage:
        told: list[Any] = list(record["messages"])
        at = record["created_at"]
        good = {"created_at": at, "incoming": True, "type": "TEXT", "body": "added"}
        kind = rng.randrange(4)
        if kind == 0:
            return Damage(rng.choice([7, {}, "", good, False]), aside=("messages",), columns={"messages": 0})
        place = rng.randrange(len(told) + 1)
        if kind == 1:
            odd: Any = rng.choice(
                [
                    *(7, None, "text", [], {}, {"body": "no clock"}, good | {"created_at": 7}, good | {"type": None}),
                    *(
                        good | {"incoming": "yes"},
                        good | {"body": ["a"]},
                        *(good | {"created_at": it} for it in UNREADABLE),
                    ),
                ]
            )
            return Damage([*told[:place], odd, *told[place:]], aside=("messages",))
        if kind == 2 and told:
            return Damage([*told, told[rng.randrange(len(told))]], columns={"messages": len(told) + 1})
        body = rng.choice(
            [None, "", NUL, SURROGATE, EMOJI, ARABIC, Raw('"\xff"'), LARGE if not rng.randrange(20) else "."]
        )
        fine = good | rng.choice(
            [
                *({"body": body}, {"body": body, "caption": EMOJI}, {"type": "HOLOGRAM"}, {"type": "", "body": body}),
                *({"location": DEEP}, {"location": {NUL: SURROGATE}}, {"location": Raw("9" * 400)}),
                *({"created_at": SKIPPED}, {"created_at": TWICE}, {"created_at": LONG_AGO}, {"broadcasted": None}),
            ]
        )
        return Damage([*told[:place], fine, *told[place:]], columns={"messages": len(told) + 1})

    return damage


def _anything(rng: Random) -> Damage:
    return Damage(rng.choice([*OTHER_TYPES, DEEP, Raw("1e999"), Raw("9" * 400), Raw('"\x01"'), "x", {NUL: EMOJI}]))


_CHAT: Mapping[str, Callable[[Random], Damage]] = {
    "chat_id": _key,
    "created_at": _creation,
    "alias": _indexed_text,
    "provider": _vocabulary("provider", "other"),
    "status": _vocabulary("status", "unknown"),
    "duration": _optional_text,
    "is_agent_available": lambda rng: (
        Damage(rng.choice([None, Gone])) if rng.random() < 0.5 else Damage("yes", "aside")
    ),
    **{name: _clock(name) for name in ("opened_at", "picked_up_at", "closed_at")},
    "responded_at": _clock("response_at"),
    "agent": _person("agents", "username", ("name", "email")),
    "contact": _contact_inside,
    "department": _department,
    "tags": _tags,
    "never heard of": _anything,
}
_CONTACT: Mapping[str, Callable[[Random], Damage]] = {
    "contact_id": _key,
    "updated": lambda rng: Damage(rng.choice([None, Gone, "", *UNREADABLE])),
    "created": lambda rng: Damage(rng.choice([None, Gone, "", SKIPPED, TWICE, *UNREADABLE])),
    **dict.fromkeys(("fullname", "identification", "address", "city", "company"), _optional_text),
    **dict.fromkeys(("mobile", "landline", "email"), _indexed_text),
    "merchant_id": lambda rng: Damage(rng.choice([7, "7", None])) if rng.random() < 0.5 else Damage([7], "aside"),
    "custom_attributes": _anything,
    "tags": _anything,
    "never heard of": _anything,
}
NO_OBJECTS: tuple[Any, ...] = (7, None, True, "a record", [], [{}], 1.5)


@dataclass(frozen=True)
class Mutant:
    """A record as it is told, and what must become of it. `record` is None where it is no object."""

    text: bytes
    key: str | None
    clock: str | None
    fate: Fate
    damaged: frozenset[str]
    aside: Counter[str]
    columns: Mapping[str, Any]
    # How many it tells of each entity.
    told: Counter[str]


def mutant(entity: str, record: Record, rng: Random, *, intact: float) -> Mutant:
    """The record as it comes out of damage; `intact` is the share of records that are left as they are."""
    key, clock = ("chat_id", "created_at") if entity == "chats" else ("contact_id", "updated")
    whole = Counter({entity: 1})
    if rng.random() < intact:
        return _mutant(entity, record, (key, clock), {})
    if rng.random() < 0.02:
        value = rng.choice(NO_OBJECTS)
        return Mutant(json.dumps(value).encode(), None, None, "aside", frozenset(), whole, {}, whole)
    kinds = dict(_CHAT if entity == "chats" else _CONTACT)
    if entity == "chats":
        kinds["messages"] = _messages_of(record)
    # Half of the damage to a chat is done to its messages and people.
    names = [*kinds, *(["messages"] * 6 + ["agent", "contact", "department"] * 2 if entity == "chats" else [])]
    chosen = {rng.choice(names) for _ in range(1 if rng.random() < 0.7 else 2)}
    return _mutant(entity, record, (key, clock), {name: kinds[name](rng) for name in sorted(chosen)})


def _mutant(entity: str, record: Record, names: tuple[str, str], damages: Mapping[str, Damage]) -> Mutant:
    told = dict(record)
    for name, damage in damages.items():
        told[name] = damage.value
    told = {name: value for name, value in told.items() if value is not Gone}
    unreadable = any(isinstance(value, Raw) and value == "NaN" for value in told.values())
    fates = {damage.fate for damage in damages.values()}
    numbers = Counter({entity: 1}) if unreadable else told_inside(entity, told)
    # What has no clock goes with its neighbour, and what lies outside is not opened.
    fate: Fate = "outside" if "outside" in fates and not unreadable else "aside" if "aside" in fates else "loads"
    aside = Counter(part for damage in damages.values() for part in damage.aside)
    return Mutant(
        text=encoded(told),
        key=None if unreadable else _told_text(told.get(names[0])),
        clock=None if unreadable else _told_text(told.get(names[1])),
        fate=fate,
        damaged=frozenset(damages),
        aside=numbers if fate == "aside" else aside if fate == "loads" else Counter(),
        columns={name: value for damage in damages.values() for name, value in damage.columns.items()},
        told=numbers,
    )


def _told_text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def told_inside(entity: str, record: Record) -> Counter[str]:
    """How many a record tells of each entity: people are told unless null, blank, or without any value."""
    if entity == "contacts":
        return Counter({"contacts": 1})
    messages = record.get("messages")
    department = record.get("department")
    if isinstance(department, dict):
        department = department.get("name")
    return Counter(
        {
            "chats": 1,
            "messages": len(messages) if isinstance(messages, list) else int(messages is not None),
            "departments": int(department is not None and bool(str(department).strip())),
            "agents": _is_told(record.get("agent"), {"username", "name", "email"}),
            "contacts": _is_told(
                record.get("contact"),
                {"id", "name", "mobile_number", "phone_number", "email", "identification", "custom_attributes", "tags"},
            ),
        }
    )


def _is_told(value: object, fields: set[str]) -> int:
    if isinstance(value, dict):
        return int(any(value.get(name) is not None for name in fields))
    return int(value is not None and value != "")


def encoded(record: Record) -> bytes:
    """The record's JSON, with raw bytes in their places."""
    raws: list[bytes] = []

    def marked(value: object) -> object:
        if isinstance(value, Raw):
            raws.append(value.encode("latin-1"))
            return f"@raw{len(raws) - 1}@"
        if isinstance(value, dict):
            return {name: marked(inner) for name, inner in value.items()}
        return [marked(inner) for inner in value] if isinstance(value, list) and value is not DEEP else value

    text = json.dumps(marked(record)).encode()
    for place, raw in enumerate(raws):
        text = text.replace(b'"@raw%d@"' % place, raw)
    return text
