"""Walking a list that the API pages by offset while the list may move: pure decisions, one page at a time.

Here belongs which page to ask for next, when to stop, and whether the pages told so far can be trusted to be the whole
list. Not here: asking (`client.py`), storing, what a record means.

Each page overlaps the one before by one record. Where the last record of the page before is the first of this one, and
none of those after it was told before, the list has not moved. In a list read newest first it may have slid away (new
chats came in at its head): nothing is lost, some records are told twice. Anything else means that records may have been
missed, and the walk starts over. A list whose order is not the one asked for is walked to its end.

In the last walk each page overlaps the one before by half. Where the list moves by more than that, or otherwise, the
walk goes to the end and is judged by number: all walks together must have told as many records as the list held. That
proves that none is missing where records only change places (an order without a tie-breaker), and not quite where they
come and go meanwhile, so nothing may be concluded from what a last walk lacks.

A list ends where a page shows it: by the overlap alone, or by a total that agrees. A page without records whose total
claims some is not its end; where it stays so, the list was not read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, auto
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from b2chat_pipeline.b2chat.contract import CHATS, CONTACTS, Endpoint
from b2chat_pipeline.b2chat.drift import Departure
from b2chat_pipeline.b2chat.limits import SMALLEST_PAGE
from b2chat_pipeline.policy import PAGE_SIZE
from b2chat_pipeline.windows import Window

Order = Literal["asc", "desc"]
ContactClock = Literal["updated", "created"]
# The walk after which a list that moves is given up.
WALKS = 3


class WalkError(Exception):
    """A list that cannot be walked to its end."""


class RepeatedPageError(WalkError):
    """The API tells the same page for different offsets; walking on would never end."""


class UnreadableKeysError(WalkError):
    """Two pages hold no key that can be read: whether they are the same page, or other records, nobody can say."""


class MissingRecordsError(WalkError):
    """The API claims records that it does not tell: nothing can be said about what the list holds."""


@dataclass(frozen=True)
class Query:
    """One list to walk: the records of the account-local days `first` to `last`, both included as the API counts.

    Contacts are listed by the day they were last updated or by the one they were created; chats by the latter alone.
    """

    endpoint: Endpoint
    first: date
    last: date
    order: Order
    contacts_by: ContactClock = "updated"

    def params(self, *, offset: int, limit: int) -> dict[str, str | int]:
        """The query string of one page."""
        days = (self.first.isoformat(), self.last.isoformat())
        page: dict[str, str | int] = {"limit": limit, "offset": offset}
        if self.endpoint == CHATS:
            return page | {"order_dir": self.order, "date_range_from": days[0], "date_range_to": days[1]}
        return page | {
            "order_dir": self.order.upper(),
            f"{self.contacts_by}_from": days[0],
            f"{self.contacts_by}_to": days[1],
            # Both default to true, which hides the fields.
            "skip_custom_attributes": "false",
            "skip_tags": "false",
        }

    def __str__(self) -> str:
        return f"{self.first} .. {self.last}"


@dataclass(frozen=True)
class Told:
    """What walking needs to know of a page: keys and clocks (None where unreadable), and the claimed total.

    `total` is None where the claim is no count; `total_type` is its JSON type, empty where there is none. `repeats` is
    what `Tellings.repeats` says of the page.
    """

    keys: Sequence[str | None]
    instants: Sequence[datetime | None]
    total: int | None
    total_type: str = "int"
    repeats: bool = False


class Position(Struct, frozen=True):
    """Where a walk stands: all that is needed to go on from here in another process (the text of a checkpoint)."""

    offset: int = 0
    limit: int = PAGE_SIZE
    walk: int = 1
    in_order: bool = True
    last_key: str | None = None
    last_instant: datetime | None = None
    page_hash: str = ""
    # The largest total claimed so far, and whether the last page held fewer records than were asked for.
    total: int | None = None
    was_short: bool = False
    # The total claimed when this walk began.
    held: int | None = None
    # How many records of the last page the next one tells again, and whether the list moved under the last walk.
    overlap: int = 1
    restless: bool = False


class Tellings:
    """The records that the walks over one list have told so far, by their keys; one without a key by its place.

    Whoever goes on with a walk in another process adds the pages told before.
    """

    def __init__(self) -> None:
        # Hashes, since a list may be long: of each key in which walk it was told last, and with what content.
        self._told: dict[int, tuple[int, int]] = {}
        # The contents of keys that a walk told with several: records of a list that has keys twice.
        self._several: dict[tuple[int, int], set[int]] = {}

    def repeats(self, position: Position, keys: Sequence[str | None], contents: Sequence[int]) -> bool:
        """Whether a page tells, behind the last record of the page before, one that this walk had told already. Another
        record has then taken the place of that one, and may have slipped past. `contents` are hashes of the records.
        """
        overlap = max((place for place, key in enumerate(keys) if key == position.last_key), default=len(keys))
        behind = zip(keys[overlap + 1 :], contents[overlap + 1 :], strict=True)
        return any(key is not None and self._told.get(hash(key)) == (position.walk, content) for key, content in behind)

    def add(self, walk: int, offset: int, keys: Sequence[str | None], contents: Sequence[int]) -> None:
        """Take down a page."""
        for place, (key, content) in enumerate(zip(keys, contents, strict=True), start=offset):
            name = hash(place if key is None else key)
            before = self._told.get(name)
            if key is not None and before and before[0] == walk and before[1] != content:
                self._several.setdefault((name, walk), set()).update((before[1], content))
            self._told[name] = (walk, content)

    def __len__(self) -> int:
        """How many different records were told."""
        most: dict[int, int] = {}
        for (name, _), contents in self._several.items():
            most[name] = max(most.get(name, 1), len(contents))
        return len(self._told) + sum(number - 1 for number in most.values())


class Step(Enum):
    """What a page meant for the walk."""

    ON = auto()
    DONE = auto()
    # The list moved, so that records may have been missed: the walk begins again at its head.
    AGAIN = auto()


def advance(position: Position, told: Told, *, query: Query, window: Window | None) -> tuple[Position, Step]:
    """The position after a page, and what it means. Stops early once the window (None: the whole list) is behind.

    Raises WalkError.
    """
    keys = list(told.keys)
    page_hash = blake2b(repr(keys).encode(), digest_size=8).hexdigest()
    if position.offset and len(keys) > 1 and page_hash == position.page_hash:
        raise _stuck(position, keys)
    moved, withheld = _has_moved(position, told, query.order), _withholds(position, told)
    total = _larger(position.total, told.total)
    if (moved or withheld) and position.walk < WALKS:
        again = Position(limit=position.limit, walk=position.walk + 1, in_order=position.in_order, total=total)
        return again, Step.AGAIN
    if withheld:
        raise MissingRecordsError(
            f"the page at offset {position.offset} holds {_counted(len(keys))} although its total is {told.total}, and"
            f" {WALKS} walks over the list ended like that, so it cannot be taken for complete"
        )
    in_order = position.in_order and not moved and _ordered(position.last_instant, told.instants, query.order)
    overlap = _overlap(position, keys)
    after = replace(
        position,
        offset=position.offset + len(keys) - overlap,
        in_order=in_order,
        last_key=keys[-1] if keys else position.last_key,
        last_instant=next((instant for instant in reversed(told.instants) if instant), position.last_instant),
        page_hash=page_hash,
        total=total,
        was_short=len(keys) < position.limit,
        held=position.held if position.offset else told.total,
        overlap=overlap,
        restless=position.restless or moved,
    )
    if _is_end(position, told) or (in_order and _is_past(after.last_instant, query.order, window)):
        return after, Step.DONE
    return after, Step.ON


def require_all(after: Position, told: Told, *, distinct: int) -> None:
    """Raises MissingRecordsError where the list moved under the last walk too, and the page that ended it shows that
    the list holds more records than the `distinct` ones that all walks have told.
    """
    if not after.restless:
        return
    places = after.offset + after.overlap
    # What came to the list meanwhile need not have been told. A total that does not fit the list's end says nothing.
    held = places if after.held is None or told.total != places else min(after.held, places)
    if distinct < held:
        raise MissingRecordsError(
            f"{WALKS} walks over the list, which did not hold still, told {distinct} of its {_counted(held)}"
        )


def _stuck(position: Position, keys: Sequence[str | None]) -> WalkError:
    if not any(keys):
        return UnreadableKeysError(
            f"no record of the page at offset {position.offset} has a key that can be read, nor had one of the page"
            " before it, so they cannot be told apart"
        )
    return RepeatedPageError(f"the same page was told at offset {position.offset} as before it")


def departures(position: Position, told: Told, *, query: Query) -> list[Departure]:
    """How a page departs from what is known of the API's lists, each kind once; nothing of it names a record."""
    clock = "$.created_at" if query.endpoint == CHATS else f"$.{query.contacts_by}"
    found = [Departure(query.endpoint, "page.total", *it) for it in _odd_total(position, told, query)]
    if not _ordered(position.last_instant, told.instants, query.order):
        found.append(Departure(query.endpoint, clock, "other order", f"not {query.order}"))
    if _has_moved(position, told, query.order):
        found.append(Departure(query.endpoint, "page", "moved list", "does not continue the page before"))
    elif position.was_short and told.keys and told.keys[-1] != position.last_key:
        found.append(Departure(query.endpoint, "page", "short page", f"fewer than the {position.limit} asked for"))
    return found


def _odd_total(position: Position, told: Told, query: Query) -> Iterator[tuple[str, str]]:
    """What is wrong with the claimed total, as kind and detail."""
    so_far = position.offset + len(told.keys)
    if not told.total_type:
        yield "missing field", "Object missing required field `total`"
    elif told.total_type != "int":
        yield "other type", f"Expected `int`, got `{told.total_type}`"
    elif told.total is None:
        yield "wrong total", "no count"
    else:
        if told.total < so_far:
            yield "wrong total", "fewer than were told"
        if len(told.keys) <= 1 and told.total > so_far:
            yield "wrong total", "more than were told"
        # A contact that is updated meanwhile leaves the days of its last update.
        may_fall = query.endpoint == CONTACTS and query.contacts_by == "updated"
        if position.total is not None and told.total < position.total and not may_fall:
            yield "wrong total", "fewer than before"


def shrink(position: Position) -> Position | None:
    """The same position with pages of half the size, or None where they are as small as they get."""
    smaller = max(position.limit // 2, SMALLEST_PAGE)
    return replace(position, limit=smaller) if smaller < position.limit else None


def _overlap(position: Position, keys: Sequence[str | None]) -> int:
    """How many records of this page the next one tells again: one, or half of them in the walk that is never given up,
    so that records taken out of the list meanwhile do not let others slip past.
    """
    return min(1 if position.walk < WALKS else max(len(keys) // 2, 1), len(keys))


def _has_moved(position: Position, told: Told, order: Order) -> bool:
    return position.offset > 0 and not _continues(position, told, order)


def _withholds(position: Position, told: Told) -> bool:
    """Whether the API claims records that it does not tell. The overlap, told again alone, does show the end."""
    lacking = told.total is not None and told.total > position.offset + len(told.keys)
    return lacking and len(told.keys) <= (0 if position.offset else 1)


def _larger(known: int | None, told: int | None) -> int | None:
    return max((it for it in (known, told) if it is not None), default=None)


def _counted(records: int) -> str:
    return "1 record" if records == 1 else f"{records or 'no'} records"


def _continues(position: Position, told: Told, order: Order) -> bool:
    """Whether nothing can have been missed between the last page and this one."""
    if told.repeats or position.last_key not in told.keys:
        return False
    # Fewer records are told again where some were taken out. None may have come between.
    if told.keys.index(position.last_key) < position.overlap:
        return True
    # It may have slid away. A page that begins with a newer record tells all records of the last one's very moment, so
    # these have not merely changed places.
    first, last = next(iter(told.instants), None), position.last_instant
    return order == "desc" and position.in_order and first is not None and last is not None and first > last


def _ordered(last: datetime | None, instants: Sequence[datetime | None], order: Order) -> bool:
    known = [instant for instant in instants if instant]
    steps = list(pairwise(known))
    if order == "asc":
        return (last is None or not known or last <= known[0]) and all(a <= b for a, b in steps)
    # Newest first, a page may begin with records that slid down from the one before.
    return all(a >= b for a, b in steps)


def _is_end(position: Position, told: Told) -> bool:
    """Nothing new ends the list; so does a short page where the total confirms it. The API may give less than asked."""
    if len(told.keys) <= 1:
        return True
    return len(told.keys) < position.limit and position.offset + len(told.keys) == told.total


def _is_past(last: datetime | None, order: Order, window: Window | None) -> bool:
    if last is None or window is None:
        return False
    return last >= window.end if order == "asc" else last < window.start
