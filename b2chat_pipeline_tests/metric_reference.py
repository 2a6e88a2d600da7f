"""A second way to the metrics of one chat: slow, in plain Python, from the definitions, without SQL.

Knows nothing of the models but the names of their columns. Not here: business time (`business_time.py`), storing chats
(`metric_support.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

from b2chat_pipeline_tests.business_time import WallCalendar

CLOSED_WORDS = {
    *("CLOSED", "COMPLETING_POLL", "COMPLETED_POLL", "ABANDONED_POLL"),
    *("CLOSED_BY_CONTACT", "LEFT_BY_CONTACT"),
}
OPEN_WORDS = {"BOT_CHATTING", "OPENED", "PICKED_UP", "RESPONDED_BY_AGENT"}
SURVEYS = {"COMPLETING_POLL": "pending", "COMPLETED_POLL": "completed", "ABANDONED_POLL": "abandoned"}
PADDING = 120
# Not known of a chat that tells no messages.
_OF_MESSAGES = (
    *("messages_in", "messages_out", "broadcast_messages", "media_messages", "media_backed_up"),
    *("first_message_at", "last_message_at", "last_message_incoming", "touches", "longest_silence_seconds"),
    *("active_seconds", "handle_active_seconds", "whatsapp_window_closes_at"),
)
DAY = timedelta(days=1)

Row = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message, at its place in the list."""

    at: datetime
    incoming: bool
    text: str | None = None
    broadcasted: bool | None = False
    kind: str = "text"
    backed_up: bool = False
    superseded: bool = False


@dataclass(frozen=True)
class Change:
    """One change that two reads bound."""

    field: str
    old: str | None
    new: str | None
    seen_before: datetime
    seen_at: datetime


@dataclass(frozen=True)
class Chat:
    """A chat as the tables hold it."""

    key: str
    created: datetime
    raw_status: str
    opened: datetime | None = None
    picked_up: datetime | None = None
    response: datetime | None = None
    closed: datetime | None = None
    provider: str = "whatsapp"
    priority: str = "normal"
    department: str | None = None
    available: bool | None = True
    tags: tuple[str, ...] = ()
    time_flags: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    history: tuple[Change, ...] = ()
    is_deleted: bool = False
    department_id: str | None = None
    agent_id: str | None = None
    contact_id: str | None = None
    alias: str | None = None

    @property
    def is_closed(self) -> bool:
        """The status says so; of one that nobody knows, the clock does."""
        if self.raw_status in CLOSED_WORDS:
            return True
        return self.raw_status not in OPEN_WORDS and self.closed is not None

    @property
    def finished(self) -> datetime | None:
        """When it was closed, if it is."""
        return self.closed if self.is_closed else None


@dataclass(frozen=True)
class Policy:
    """A version of a policy: what it promises to whom, from when to before when."""

    name: str
    version: int
    targets: Mapping[str, int]
    priority: str | None = None
    channel: str | None = None
    business: bool = False
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def fits(self, chat: Chat, clock: str) -> bool:
        """Whether it is for this clock of a chat."""
        return (
            clock in self.targets
            and self.priority in {None, chat.priority}
            and self.channel in {None, chat.provider}
            and (self.valid_from is None or self.valid_from <= chat.created)
            and (self.valid_to is None or chat.created < self.valid_to)
        )


@dataclass(frozen=True)
class Rules:
    """What holds for an account."""

    zone: ZoneInfo
    calendars: Mapping[str, WallCalendar] = field(default_factory=dict)
    # Of a department: the calendars it keeps, each from an instant on.
    departments: Mapping[str, Sequence[tuple[datetime | None, str]]] = field(default_factory=dict)
    policies: Sequence[Policy] = ()

    def calendar_of(self, chat: Chat) -> str | None:
        """The calendar of the chat's department when it began, else the default one."""
        name = "default"
        for since, calendar in self.departments.get(chat.department or "", ()):
            if since is None or since <= chat.created:
                name = calendar
        return name if name in self.calendars else None

    def business(self, chat: Chat, start: datetime | None, end: datetime | None) -> float | None:
        """Business seconds of a chat between two instants."""
        calendar = self.calendar_of(chat)
        return self.calendars[calendar].seconds(start, end) if calendar else None

    def policy_for(self, chat: Chat, clock: str) -> Policy | None:
        """Priority goes before channel, and that before neither."""
        fitting = [policy for policy in self.policies if policy.fits(chat, clock)]
        return max(fitting, key=lambda it: (it.priority is not None, it.channel is not None), default=None)


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds on the wall; None where one is not known, or they are in an impossible order."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def told(chat: Chat) -> list[Message]:
    """The messages that count, in the order they were sent."""
    return sorted((it for it in chat.messages if not it.superseded), key=lambda it: it.at)


def talk_of(chat: Chat) -> list[Message]:
    """Without broadcasts, and without the farewell and the survey that follow the closing."""
    closed = chat.finished
    return [it for it in told(chat) if not it.broadcasted and (closed is None or it.at <= closed)]


def turns_of(chat: Chat, rules: Rules) -> list[Row]:
    """The customer's turns."""
    runs: list[list[Message]] = []
    for message in talk_of(chat):
        if not runs or runs[-1][0].incoming != message.incoming:
            runs.append([])
        runs[-1].append(message)
    rows: list[Row] = []
    for place, run in enumerate(runs):
        if run[0].incoming:
            reply = runs[place + 1][0].at if place + 1 < len(runs) else None
            rows.append(_turn(chat, rules, run, reply) | {"turn_number": len(rows) + 1})
    return rows


def _turn(chat: Chat, rules: Rules, run: Sequence[Message], reply: datetime | None) -> Row:
    start, last = run[0].at, run[-1].at
    window = last + DAY if chat.provider == "whatsapp" else None
    lapsed = None
    if window is not None:
        ended = reply or chat.finished
        lapsed = ended > window if ended is not None else None
    return {
        "chat_id": chat.key,
        "created_day": chat.created.astimezone(rules.zone).date(),
        **_belonging(chat, rules),
        "turn_day": start.astimezone(rules.zone).date(),
        "started_at": start,
        "last_incoming_at": last,
        "messages": len(run),
        "reply_at": reply,
        "reply_seconds": between(start, reply),
        "reply_business_seconds": rules.business(chat, start, reply),
        "replied_before_pickup": None if reply is None else chat.picked_up is None or reply < chat.picked_up,
        "window_closes_at": window,
        "is_window_lapsed": lapsed,
        "window_left_seconds": between(reply, window),
    }


def metrics_of(chat: Chat, rules: Rules) -> Row:
    """The row of a chat in chat_metrics."""
    direction, basis = _direction(chat)
    return {
        "chat_id": chat.key,
        "created_day": chat.created.astimezone(rules.zone).date(),
        "closed_day": chat.finished.astimezone(rules.zone).date() if chat.finished else None,
        "created_at": chat.created,
        "opened_at": chat.opened,
        "picked_up_at": chat.picked_up,
        "response_at": chat.response,
        "closed_at": chat.closed,
        **_belonging(chat, rules),
        "contact_id": chat.contact_id,
        "tags": list(chat.tags),
        "raw_status": chat.raw_status,
        "is_agent_available": chat.available,
        "is_closed": chat.is_closed,
        "direction": direction,
        "direction_basis": basis,
        "has_messages": bool(told(chat)),
        "clock_anomalies": list(_anomalies(chat)),
        "has_uncertain_time": bool(chat.time_flags),
        **_arrival(chat, rules),
        **_durations(chat, rules),
        **_history(chat, rules),
        **_messages(chat),
        **_replies(chat, rules),
        **_endings(chat),
        **_promises(chat, rules, direction),
    }


def _belonging(chat: Chat, rules: Rules) -> Row:
    """What a chat and its turns count for."""
    return {
        "agent_id": chat.agent_id,
        "department_id": chat.department_id,
        "provider": chat.provider,
        "alias": chat.alias,
        "priority": chat.priority,
        "calendar": rules.calendar_of(chat),
    }


def _direction(chat: Chat) -> tuple[str, str]:
    messages = told(chat)
    if messages:
        first = messages[0]
        word = "inbound" if first.incoming else "broadcast" if first.broadcasted else "outbound"
        return word, "first message"
    if chat.picked_up is not None and chat.picked_up == chat.opened:
        return "outbound", "picked up at once"
    return "unknown", "nothing tells"


def _anomalies(chat: Chat) -> Iterator[str]:
    pairs = (
        ("response_before_created", chat.response, chat.created),
        ("picked_up_before_opened", chat.picked_up, chat.opened),
        ("response_before_picked_up", chat.response, chat.picked_up),
        ("closed_before_created", chat.closed, chat.created),
        ("closed_before_picked_up", chat.closed, chat.picked_up),
        ("closed_before_response", chat.closed, chat.response),
    )
    for name, later, earlier in pairs:
        if later is not None and earlier is not None and later < earlier:
            yield name


def _arrival(chat: Chat, rules: Rules) -> Row:
    calendar = rules.calendar_of(chat)
    opening = rules.calendars[calendar].next_opening(chat.created) if calendar else None
    seen = {word for it in chat.history if it.field == "status" for word in (it.old, it.new)}
    bot = "BOT_CHATTING" in seen or chat.raw_status == "BOT_CHATTING"
    return {
        "created_outside_hours": None if opening is None else opening > chat.created,
        "wait_until_opening_seconds": between(chat.created, opening),
        "passed_bot": True if bot else None,
        # Nought means that the queue's clock began with the chat: what the bot took is not known then.
        "bot_seconds": (between(chat.created, chat.opened) or None) if bot else None,
    }


def _durations(chat: Chat, rules: Rules) -> Row:
    spans = {
        "queue_wait": (chat.opened, chat.picked_up),
        "first_response": (chat.created, chat.response),
        "first_response_from_opening": (chat.opened, chat.response),
        "first_response_after_pickup": (chat.picked_up, chat.response),
        "resolution": (chat.created, chat.finished),
    }
    row: Row = {"handle_seconds": between(chat.picked_up, chat.finished)}
    for name, (start, end) in spans.items():
        row[f"{name}_seconds"] = between(start, end)
        row[f"{name}_business_seconds"] = rules.business(chat, start, end)
    return row


def _history(chat: Chat, rules: Rules) -> Row:
    reopens = 0
    closings: list[tuple[datetime | None, datetime]] = []
    for change in sorted(chat.history, key=lambda it: it.seen_at):
        if change.field != "status":
            continue
        if change.old in CLOSED_WORDS:
            closings.append((None, change.seen_before))
            reopens += change.new in OPEN_WORDS
        elif change.new in CLOSED_WORDS:
            closings.append((change.seen_before, change.seen_at))
    after, by = closings[0] if reopens else (None, None)
    once = reopens == 0

    def moves(what: str) -> int:
        return sum(1 for it in chat.history if it.field == what and it.old is not None and it.new is not None)

    return {
        "reopens": reopens,
        "agent_transfers": moves("agent"),
        "department_transfers": moves("department"),
        "first_closed_after_at": after,
        "first_closed_by_at": by,
        "first_resolution_seconds": between(chat.created, chat.finished) if once else None,
        "first_resolution_business_seconds": rules.business(chat, chat.created, chat.finished) if once else None,
    }


def _messages(chat: Chat) -> Row:
    messages, talk = told(chat), talk_of(chat)
    if not messages:
        return dict.fromkeys(_OF_MESSAGES)
    incoming = [it.at for it in messages if it.incoming]
    active = _active_seconds(chat, talk)
    return {
        "messages_in": len(incoming),
        "messages_out": sum(1 for it in messages if not it.incoming and not it.broadcasted),
        "broadcast_messages": sum(1 for it in messages if it.broadcasted),
        "media_messages": sum(1 for it in messages if it.kind != "text"),
        "media_backed_up": sum(1 for it in messages if it.kind != "text" and it.backed_up),
        "first_message_at": messages[0].at,
        "last_message_at": messages[-1].at,
        "last_message_incoming": talk[-1].incoming if talk else None,
        "touches": _touches(chat, talk),
        "longest_silence_seconds": _silence(chat, talk),
        "active_seconds": active,
        "handle_active_seconds": active if between(chat.picked_up, chat.finished) is not None else None,
        "whatsapp_window_closes_at": max(incoming) + DAY if incoming and chat.provider == "whatsapp" else None,
    }


def _active_seconds(chat: Chat, talk: Sequence[Message]) -> int | None:
    """Seconds that lie near a message while the agent had the chat, each counted once."""
    if not talk or chat.picked_up is None or (chat.finished is not None and chat.finished < chat.picked_up):
        return None
    seconds: set[int] = set()
    first, last = chat.picked_up.timestamp(), chat.finished.timestamp() if chat.finished else float("inf")
    for message in talk:
        at = int(message.at.timestamp())
        seconds |= {second for second in range(at - PADDING, at + PADDING) if first <= second < last}
    return len(seconds)


def _touches(chat: Chat, talk: Sequence[Message]) -> int:
    touches, counted = 0, False
    for message in talk:
        if message.incoming:
            counted = False
        elif not counted and chat.picked_up is not None and message.at >= chat.picked_up:
            touches, counted = touches + 1, True
    return touches


def _silence(chat: Chat, talk: Sequence[Message]) -> float | None:
    held = [it.at for it in talk if chat.picked_up is not None and it.at >= chat.picked_up]
    return max(((later - earlier).total_seconds() for earlier, later in pairwise(held)), default=None)


def _replies(chat: Chat, rules: Rules) -> Row:
    turns = turns_of(chat, rules)
    answered = [turn for turn in turns if turn["reply_at"] is not None]
    waits = [turn["reply_seconds"] for turn in answered]
    business = [turn["reply_business_seconds"] for turn in answered if turn["reply_business_seconds"] is not None]
    by_agent = [turn["reply_seconds"] for turn in answered if not turn["replied_before_pickup"]]
    has_messages = bool(told(chat))
    first_reply = turns[0]["reply_at"] if turns else None
    wait, resolution = sum(waits) if waits else None, between(chat.created, chat.finished)
    return {
        "turns": len(turns) if has_messages else None,
        "answered_turns": len(answered) if has_messages else None,
        "unanswered_turns": len(turns) - len(answered) if has_messages else None,
        "average_reply_seconds": fmean(waits) if waits else None,
        "longest_reply_seconds": max(waits, default=None),
        "average_reply_business_seconds": fmean(business) if business else None,
        "longest_reply_business_seconds": max(business, default=None),
        "average_agent_reply_seconds": fmean(by_agent) if by_agent else None,
        "customer_wait_seconds": wait,
        "customer_wait_share": wait / resolution if wait is not None and resolution else None,
        "first_reply_at": first_reply,
        "first_response_confirmed": _confirmed(first_reply, chat.response) if has_messages else None,
    }


def _confirmed(first_reply: datetime | None, response: datetime | None) -> bool | None:
    if first_reply is None and response is None:
        return None
    if first_reply is None or response is None:
        return False
    return abs((first_reply - response).total_seconds()) <= 60


def _endings(chat: Chat) -> Row:
    """How it ended: by whom it was given up, and what the survey brought."""
    messages, talk = told(chat), talk_of(chat)
    last = talk[-1] if talk else None
    queue: bool | None = None
    if chat.is_closed:
        queue = False if chat.picked_up else (bool(last and last.incoming) if messages else None)
    row = _history(chat, Rules(ZoneInfo("UTC")))
    touches = _touches(chat, talk)
    ratings = [
        int(it.text.strip(" \t\r\n"))
        for it in messages
        if chat.finished and it.at > chat.finished and it.incoming and it.text
        if it.text.strip(" \t\r\n") in {"1", "2", "3", "4", "5"}
    ]
    outgoing = [it.at for it in messages if not it.incoming]
    answers = [it.at for it in talk if it.incoming]
    began = _direction(chat)[0] in {"outbound", "broadcast"} and bool(messages)
    return {
        "is_abandoned_in_queue": queue,
        "is_abandoned_by_customer": _left_a_question(chat, last) if chat.is_closed and messages else None,
        "is_one_touch": touches == 1 and row["reopens"] == 0 if chat.is_closed and messages else None,
        "customer_first_reply_seconds": between(outgoing[0], answers[0]) if began and answers else None,
        "survey_status": SURVEYS.get(chat.raw_status),
        "survey_rating": ratings[-1] if ratings and chat.raw_status == "COMPLETED_POLL" else None,
    }


def _left_a_question(chat: Chat, last: Message | None) -> bool:
    if last is None or last.incoming or chat.picked_up is None or last.at < chat.picked_up or chat.closed is None:
        return False
    return "?" in (last.text or "") and chat.closed - last.at >= DAY


def _promises(chat: Chat, rules: Rules, direction: str) -> Row:
    clocks = {
        "pickup": (chat.opened, chat.picked_up),
        "first_response": (chat.created, chat.response),
        "resolution": (chat.created, chat.finished),
    }
    row: Row = {}
    for clock, (start, end) in clocks.items():
        policy = rules.policy_for(chat, clock) if direction == "inbound" else None
        row |= {
            f"sla_{clock}_{name}": value for name, value in _verdict(chat, rules, policy, clock, start, end).items()
        }
    missed: bool | None = None
    if direction == "inbound" and chat.available is not None:
        met = row["sla_first_response_met"]
        missed = not met if met is not None else None
        if chat.available:
            missed = False
        elif chat.response is None and chat.is_closed:
            missed = True
    return row | {"is_missed": missed, "response_time_score": _score(chat, row) if direction == "inbound" else None}


def _verdict(
    chat: Chat, rules: Rules, policy: Policy | None, clock: str, start: datetime | None, end: datetime | None
) -> Row:
    if policy is None:
        return dict.fromkeys(("policy", "version", "target_seconds", "business", "elapsed_seconds", "met"))
    stopped = end if end is not None else chat.finished
    elapsed = rules.business(chat, start, stopped) if policy.business else between(start, stopped)
    target = policy.targets[clock]
    met: bool | None = None
    if elapsed is not None and (end is not None or elapsed > target):
        met = end is not None and elapsed <= target
    return {
        "policy": policy.name,
        "version": policy.version,
        "target_seconds": target,
        "business": policy.business,
        "elapsed_seconds": elapsed,
        "met": met,
    }


def _score(chat: Chat, row: Row) -> float | None:
    elapsed: float | None = row["sla_first_response_elapsed_seconds"]
    target: int = row["sla_first_response_target_seconds"]
    if chat.response is None:
        return 0 if chat.is_closed else None
    if elapsed is None:
        return None
    if elapsed <= target:
        return 100
    return max(0.0, 100.0 - 100.0 * (elapsed - target) / (3 * target))
