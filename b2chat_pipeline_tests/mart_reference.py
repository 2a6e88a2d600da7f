"""The rows of each mart, computed by plain Python from the chats: slow, and written from the definitions.

Here belongs one function per mart, registered under its name. Not here: what one chat tells (`mart_account.py`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

from b2chat_pipeline_tests.mart_account import TARGETS, Account, Chat, Row, merged, seconds_between

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Rows = list[Row]
REFERENCES: dict[str, Callable[[Account], Rows]] = {}
DIMENSIONS = ("department_id", "agent_id", "provider", "alias", "priority")
BUCKETS = (
    *((60, "up to 1 min"), (300, "1 to 5 min"), (900, "5 to 15 min"), (1800, "15 to 30 min"), (3600, "30 to 60 min")),
    *((14_400, "1 to 4 h"), (28_800, "4 to 8 h"), (86_400, "8 to 24 h"), (math.inf, "over 24 h")),
)
AGES = (
    *((0, 1, "under_1_h"), (1, 4, "from_1_to_4_h"), (4, 24, "from_4_to_24_h"), (24, 72, "from_1_to_3_days")),
    *((72, 168, "from_3_to_7_days"), (168, math.inf, "over_7_days")),
)


def mart(function: Callable[[Account], Iterable[Row]]) -> Callable[[Account], Rows]:
    """Registers the rows of the mart that the function is named after."""

    def computed(account: Account) -> Rows:
        return list(function(account))

    REFERENCES[function.__name__] = computed
    return computed


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def percentile(values: Sequence[float], share: float) -> float | None:
    """Interpolated between the two nearest, as analysts do it."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    ordered = sorted(values)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def wilson(successes: int, n: int) -> tuple[float | None, float | None]:
    """Bounds of a share at 95 %: the shares from which the one seen is 1.96 standard errors away."""
    if not n:
        return None, None
    z, seen = 1.96, successes / n
    spread = z * math.sqrt(seen * (1 - seen) / n + z * z / (4 * n * n))
    return tuple((seen + z * z / (2 * n) + sign * spread) / (1 + z * z / n) for sign in (-1, 1))  # type: ignore[return-value]


def dimensions(chat: Chat) -> Row:
    return {name: getattr(chat, name) for name in DIMENSIONS}


def by_dimensions(chats: Iterable[Any], *more: Callable[[Any], Any], chat: Callable[[Any], Chat]) -> dict[Any, Any]:
    return grouped(chats, lambda it: (*(one(it) for one in more), *dimensions(chat(it)).values()))


def month_of(day: date) -> date:
    return day.replace(day=1)


def is_inbound(chat: Chat) -> bool:
    return chat.direction == "inbound"


# Volume


def _flow(account: Account, place: Callable[[Chat, datetime], Any]) -> Rows:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for chat in account.chats:
        for column, instant in enumerate((chat.created_at, chat.finished_at)):
            if instant is not None:
                counts[(place(chat, instant), chat.direction, *dimensions(chat).values())][column] += 1
    names = ("when", "direction", *DIMENSIONS)
    return [
        dict(zip(names, key, strict=True)) | {"created": made, "closed": closed, "net_flow": made - closed}
        for key, (made, closed) in counts.items()
    ]


def _renamed(rows: Rows, old: str, new: str) -> Rows:
    return [{new if name == old else name: value for name, value in row.items()} for row in rows]


@mart
def hourly_volume(account: Account) -> Rows:
    return _renamed(_flow(account, lambda chat, at: chat.hour_of(at)), "when", "hour_start")


@mart
def daily_volume(account: Account) -> Rows:
    return _renamed(_flow(account, lambda chat, at: chat.day_of(at)), "when", "day")


def _open_at(account: Account, at: datetime) -> list[Chat]:
    """The chats open at an instant; a closed one without a sensible time of closing is never taken for open."""
    return [
        chat
        for chat in account.chats
        if chat.created_at <= at
        and (not chat.is_closed or (chat.closed_at is not None and chat.closed_at > at))
    ]


def _hours(first: datetime, until: datetime) -> Iterator[datetime]:
    while first < until:
        yield first
        first += HOUR


@mart
def backlog_hourly(account: Account) -> Iterator[Row]:
    first = min(chat.hour_of(chat.created_at) for chat in account.chats)
    for hour in _hours(first, account.loaded_until):
        end = hour + HOUR
        for (department, provider), chats in grouped(
            _open_at(account, end), lambda it: (it.department_id, it.provider)
        ).items():
            ages = [(end - chat.created_at) / HOUR for chat in chats]
            yield {
                "hour_start": hour,
                "day": hour.astimezone(account.zone).date(),
                "department_id": department,
                "provider": provider,
                "open_chats": len(chats),
            } | {name: sum(low <= age < high for age in ages) for low, high, name in AGES}


@mart
def backlog_daily(account: Account) -> Iterator[Row]:
    day = min(chat.created_day for chat in account.chats)
    while (end := datetime(day.year, day.month, day.day, tzinfo=account.zone) + DAY) <= account.loaded_until:
        places: dict[Any, list[float]] = defaultdict(list)
        for chat in _open_at(account, end):
            for place in (("account", None), ("department", chat.department_id), ("channel", chat.provider)):
                places[place].append((end - chat.created_at).total_seconds())
        for (dimension, value), ages in places.items():
            yield {
                **{"day": day, "dimension": dimension, "value": value, "open_chats": len(ages)},
                **{"mean_age_seconds": mean(ages), "max_age_seconds": max(ages)},
                "median_age_seconds": percentile(ages, 0.5),
                "p90_age_seconds": percentile(ages, 0.9),
                "p95_age_seconds": percentile(ages, 0.95),
            }
        day += DAY


@mart
def arrival_heat_map(account: Account) -> Iterator[Row]:
    inbound = [chat for chat in account.chats if is_inbound(chat)]
    cells = grouped(
        inbound,
        lambda it: (
            month_of(it.created_day),
            it.created_day.isoweekday(),
            it.created_at.astimezone(account.zone).hour,
        ),
    )
    for month in {month_of(chat.created_day) for chat in inbound}:
        for weekday in range(1, 8):
            for hour in range(24):
                chats = cells.get((month, weekday, hour), [])
                waits = [it for it in (_first_response(chat) for chat in chats) if it is not None]
                verdicts = [it for it in (chat.verdict("first_response") for chat in chats) if it is not None]
                yield {
                    **{"month": month, "weekday": weekday, "hour": hour, "chats": len(chats)},
                    **{"first_response_n": len(waits), "first_response_median_seconds": percentile(waits, 0.5)},
                    **{"sla_n": len(verdicts), "sla_met": sum(verdicts)},
                    "sla_met_share_of_judged": share(sum(verdicts), len(verdicts)),
                }


def _first_response(chat: Chat) -> float | None:
    return seconds_between(chat.created_at, chat.response_at)


# How long things took


def _values(account: Account, chat: Chat) -> Iterator[tuple[str, Any]]:
    yield from (("account", None), ("agent", chat.agent_id), ("department", chat.department_id))
    yield from (("channel", chat.provider), ("alias", chat.alias))
    yield from (("department_tree", department) for department in account.ancestors[chat.department_id])
    yield from (("tag", tag) for tag in (set(chat.tags) or {None}))


@mart
def performance_daily(account: Account) -> Iterator[Row]:
    asked: dict[Any, list[tuple[float | None, bool]]] = defaultdict(list)
    for chat in account.chats:
        values = list(_values(account, chat))
        for metric, form, seconds in chat.durations():
            for dimension, value in values:
                asked[(chat.created_day, dimension, value, metric, form)].append((seconds, chat.is_closed))
    for key, told in asked.items():
        yield dict(zip(("created_day", "dimension", "value", "metric", "form"), key, strict=True)) | _summary(told)


def _summary(told: Sequence[tuple[float | None, bool]]) -> Row:
    known = [seconds for seconds, _ in told if seconds is not None]
    return {
        "population": len(told),
        "n": len(known),
        "n_null": sum(seconds is None and closed for seconds, closed in told),
        "n_open": sum(seconds is None and not closed for seconds, closed in told),
        "mean_seconds": mean(known),
        "median_seconds": percentile(known, 0.5),
        "p90_seconds": percentile(known, 0.9),
        "p95_seconds": percentile(known, 0.95),
        "max_seconds": max(known, default=None),
    }


def _of_dimension(name: str, dimension: str, column: str) -> None:
    def view(account: Account) -> Rows:
        of_dimension = [row for row in performance_daily(account) if row.pop("dimension") == dimension]
        return _renamed(of_dimension, "value", column)

    REFERENCES[name] = view


_of_dimension("agent_daily", "agent", "agent_id")
_of_dimension("channel_daily", "channel", "provider")
_of_dimension("alias_daily", "alias", "alias")
_of_dimension("tag_daily", "tag", "tag")


@mart
def department_daily(account: Account) -> Iterator[Row]:
    scopes = {"department": "own", "department_tree": "subtree"}
    for row in performance_daily(account):
        scope = scopes.get(row.pop("dimension"))
        if scope:
            yield {**row, "department_id": row["value"], "scope": scope}


@mart
def response_histogram(account: Account) -> Iterator[Row]:
    counts: Counter[Any] = Counter()
    for chat in filter(is_inbound, account.chats):
        for start in ("created_at", "opened_at"):
            bucket = _bucket(chat, seconds_between(getattr(chat, start), chat.response_at))
            counts[(chat.created_day, start, *bucket, *dimensions(chat).values())] += 1
    names = ("created_day", "measured_from", "bucket_order", "bucket", *DIMENSIONS)
    for key, chats in counts.items():
        yield dict(zip(names, key, strict=True)) | {"chats": chats}


def _bucket(chat: Chat, seconds: float | None) -> tuple[int, str]:
    if seconds is None:
        if chat.response_at is not None:
            return 10, "not measurable"
        return (11, "closed unanswered") if chat.is_closed else (12, "not answered yet")
    return next((place, name) for place, (upper, name) in enumerate(BUCKETS, start=1) if seconds <= upper)


@mart
def outcomes_daily(account: Account) -> Iterator[Row]:
    for key, chats in by_dimensions(
        account.chats, lambda it: it.created_day, lambda it: it.direction, chat=lambda it: it
    ).items():
        yield dict(zip(("created_day", "direction", *DIMENSIONS), key, strict=True)) | _outcomes(chats)


def _outcomes(chats: Sequence[Chat]) -> Row:
    told = [chat for chat in chats if chat.has_messages]
    closed = [chat for chat in chats if chat.is_closed]
    closed_told = [chat for chat in closed if chat.has_messages]
    missed = [it for it in (chat.is_missed for chat in chats) if it is not None]
    checks = [it for it in (_confirmed(chat) for chat in told) if it is not None]
    waits = [it for it in (_wait_share(chat) for chat in told) if it is not None]
    scores = [it for it in (chat.score for chat in chats) if it is not None]
    queue = [chat for chat in closed if chat.has_messages or chat.picked_up_at is not None]
    return {
        "chats": len(chats),
        "closed": len(closed),
        "with_messages": len(told),
        "answered": sum(chat.response_at is not None for chat in chats),
        "closed_unanswered": sum(chat.response_at is None for chat in closed),
        "first_response_check_known": len(checks),
        "first_response_differs": sum(not it for it in checks),
        "abandoned_in_queue_known": len(queue),
        "abandoned_in_queue": sum(chat.picked_up_at is None and bool(chat.is_unattended) for chat in queue),
        "abandoned_by_customer_known": len(closed_told),
        "abandoned_by_customer": sum(chat.is_abandoned_by_customer for chat in closed_told),
        "missed_known": len(missed),
        "missed": sum(missed),
        "one_touch_known": len(closed_told),
        "one_touch": sum(chat.touches == 1 and not chat.reopens for chat in closed_told),
        "reopened": sum(chat.reopens > 0 for chat in chats),
        "transferred": sum(chat.is_transferred for chat in chats),
        "messages_in": sum(it["incoming"] for chat in told for it in chat.told),
        "messages_out": sum(not it["incoming"] and not it["broadcasted"] for chat in told for it in chat.told),
        "touches": sum(chat.touches for chat in told),
        "turns": sum(len(chat.turns) for chat in told),
        "unanswered_turns": sum(turn.reply_at is None for chat in told for turn in chat.turns),
        "customer_wait_share_known": len(waits),
        "customer_wait_share_sum": math.fsum(waits),
        "response_time_score_known": len(scores),
        "response_time_score_sum": math.fsum(scores),
    }


def _confirmed(chat: Chat) -> bool | None:
    replied_at = chat.turns[0].reply_at if chat.turns else None
    if replied_at is None and chat.response_at is None:
        return None
    if replied_at is None or chat.response_at is None:
        return False
    return abs((replied_at - chat.response_at).total_seconds()) <= 60


def _wait_share(chat: Chat) -> float | None:
    waits = [seconds_between(turn.started_at, turn.reply_at) for turn in chat.turns if turn.reply_at is not None]
    whole = seconds_between(chat.created_at, chat.finished_at)
    return math.fsum(it for it in waits if it is not None) / whole if waits and whole else None


@mart
def whatsapp_window_daily(account: Account) -> Iterator[Row]:
    turns = [(chat, turn) for chat in account.chats if chat.provider == "whatsapp" for turn in chat.turns]
    for (day, department), of_day in grouped(turns, lambda it: (it[0].created_day, it[0].department_id)).items():
        counts: Counter[str] = Counter()
        left: list[float] = []
        for chat, turn in of_day:
            closes_at = turn.last_at + DAY
            if turn.reply_at is not None:
                counts["answered_late" if turn.reply_at > closes_at else "answered_in_window"] += 1
                left += [(closes_at - turn.reply_at).total_seconds()] if turn.reply_at <= closes_at else []
            elif chat.finished_at is not None:
                late = chat.finished_at > closes_at
                counts["lapsed_unanswered" if late else "closed_unanswered_in_window"] += 1
            else:
                counts["n_open"] += 1
        names = ("answered_in_window", "answered_late", "lapsed_unanswered", "closed_unanswered_in_window", "n_open")
        yield {
            **{"created_day": day, "department_id": department, "turns": len(of_day)},
            **{name: counts[name] for name in names},
            "answered_in_window_share": share(
                counts["answered_in_window"], sum(counts[name] for name in names[:3])
            ),
            "median_window_left_seconds": percentile(left, 0.5),
            "p10_window_left_seconds": percentile(left, 0.1),
        }


@mart
def after_hours_daily(account: Account) -> Iterator[Row]:
    for (day, department, provider), chats in grouped(
        filter(is_inbound, account.chats), lambda it: (it.created_day, it.department_id, it.provider)
    ).items():
        waits = [chat.openings.wait(chat.created_at) for chat in chats if chat.openings]
        outside = [it for it in waits if it > 0]
        yield {
            **{"created_day": day, "department_id": department, "provider": provider, "chats": len(chats)},
            **{"n": len(waits), "n_null": len(chats) - len(waits), "outside_hours": len(outside)},
            "outside_hours_share": share(len(outside), len(waits)),
            "mean_wait_until_opening_seconds": mean(outside),
            "median_wait_until_opening_seconds": percentile(outside, 0.5),
            "p90_wait_until_opening_seconds": percentile(outside, 0.9),
        }


@mart
def media_daily(account: Account) -> Iterator[Row]:
    messages = [(chat, message) for chat in account.chats for message in chat.told]
    for key, of_key in grouped(
        messages, lambda it: (it[0].created_day, it[0].department_id, it[0].provider, it[1]["incoming"])
    ).items():
        kinds = Counter(message["type"] for _, message in of_key)
        yield dict(zip(("created_day", "department_id", "provider", "incoming"), key, strict=True)) | {
            **{"messages": len(of_key), "images": kinds["image"], "files": kinds["file"]},
            "media_not_backed_up": sum(
                message["type"] != "text" and not message["media_backed_up"] for _, message in of_key
            ),
            "media_share": share(kinds["image"] + kinds["file"], len(of_key)),
        }


@mart
def bot_containment(account: Account) -> Iterator[Row]:
    seen = [chat for chat in account.chats if chat.passed_bot]
    for (day, provider, alias), chats in grouped(seen, lambda it: (it.created_day, it.provider, it.alias)).items():
        handed = sum(chat.picked_up_at is not None for chat in chats)
        contained = sum(chat.picked_up_at is None and chat.is_closed for chat in chats)
        yield {
            **{"created_day": day, "provider": provider, "alias": alias, "chats": len(chats)},
            **{"contained": contained, "handed_over": handed, "n_open": len(chats) - handed - contained},
            "containment": share(contained, contained + handed),
        }


@mart
def reopens_and_transfers(account: Account) -> Iterator[Row]:
    for chat in account.chats:
        for change in chat.changes:
            kind = _kind_of_change(change)
            if kind:
                yield {
                    **{"chat_id": chat.id, "kind": kind, "created_day": chat.created_day},
                    **{"old": change["old"], "new": change["new"]},
                    **{"changed_after": change["seen_before"], "changed_by": change["seen_at"]},
                }


def _kind_of_change(change: Row) -> str | None:
    from b2chat_pipeline_tests.mart_account import CLOSED, OPEN

    if change["field"] == "status":
        return "reopening" if change["old"] in CLOSED and change["new"] in OPEN else None
    if change["field"] in {"agent", "department"} and change["old"] and change["new"]:
        return f"{change['field']} transfer"
    return None


@mart
def survey_daily(account: Account) -> Iterator[Row]:
    offered = [chat for chat in account.chats if chat.survey]
    names = ("created_day", "department_id", "agent_id", "provider")
    for key, chats in grouped(offered, lambda it: tuple(getattr(it, name) for name in names)).items():
        fates = Counter(chat.survey for chat in chats)
        ratings = [chat.rating for chat in chats if chat.rating is not None]
        top = sum(rating >= 4 for rating in ratings)
        low, high = wilson(top, len(ratings))
        yield dict(zip(names, key, strict=True)) | {
            **{"offered": len(chats), "response_rate": share(fates["completed"], len(chats))},
            **{name: fates[name] for name in ("completed", "abandoned", "pending")},
            **{"rated": len(ratings), "rating_sum": sum(ratings), "top_two": top, "mean_rating": mean(ratings)},
            **{"top_two_share": share(top, len(ratings)), "top_two_share_low": low, "top_two_share_high": high},
        }


@mart
def tag_mix_monthly(account: Account) -> Iterator[Row]:
    for month, chats in grouped(account.chats, lambda it: month_of(it.created_day)).items():
        counts = Counter(tag for chat in chats for tag in (set(chat.tags) or {None}))
        for tag, count in counts.items():
            yield {"month": month, "tag": tag, "chats": count, "chats_of_month": len(chats)} | {
                "share": count / len(chats)
            }


@mart
def tag_pairs_monthly(account: Account) -> Iterator[Row]:
    for month, chats in grouped(account.chats, lambda it: month_of(it.created_day)).items():
        single = Counter(tag for chat in chats for tag in set(chat.tags))
        pairs = Counter(pair for chat in chats for pair in combinations(sorted(set(chat.tags)), 2))
        for (first, second), both in pairs.items():
            lift = (both / len(chats)) / ((single[first] / len(chats)) * (single[second] / len(chats)))
            yield {"month": month, "first_tag": first, "second_tag": second, "chats": both, "lift": lift}


# Promises


def _clocks(account: Account) -> Iterator[tuple[Chat, str, float | None, bool | None]]:
    """Each promise to each inbound chat: how long it took, and whether it was kept."""
    for chat in filter(is_inbound, account.chats):
        for clock, start, _, stopped in chat.clocks():
            yield chat, clock, seconds_between(start, stopped), chat.verdict(clock)


@mart
def sla_daily(account: Account) -> Iterator[Row]:
    for key, clocks in by_dimensions(
        _clocks(account), lambda it: it[0].created_day, lambda it: it[1], chat=lambda it: it[0]
    ).items():
        verdicts = Counter(verdict for *_, verdict in clocks)
        running = sum(
            verdict is None and not chat.is_closed and (clock != "pickup" or chat.opened_at is not None)
            for chat, clock, _, verdict in clocks
        )
        yield dict(zip(("created_day", "clock", *DIMENSIONS), key, strict=True)) | {
            **{"policy": "default", "policy_version": 1, "chats": len(clocks)},
            **{"met": verdicts[True], "breached": verdicts[False], "running": running},
            "not_judged": verdicts[None] - running,
            "met_share_of_judged": share(verdicts[True], verdicts[True] + verdicts[False]),
        }


@mart
def sla_breaches(account: Account) -> Iterator[Row]:
    for chat, clock, elapsed, verdict in _clocks(account):
        if verdict is False and elapsed is not None:
            target = TARGETS[clock]
            started_at = chat.opened_at if clock == "pickup" else chat.created_at
            yield {
                **{"chat_id": chat.id, "clock": clock, "created_day": chat.created_day, **dimensions(chat)},
                **{"policy": "default", "policy_version": 1, "in_business_time": False, "target_seconds": target},
                **{"elapsed_seconds": elapsed, "excess_seconds": elapsed - target},
                "breached_at": started_at + timedelta(seconds=target),
            }


# Agents


@mart
def agent_concurrency_hourly(account: Account) -> Iterator[Row]:
    for agent, chats in grouped(account.chats, lambda it: it.agent_id).items():
        held = [it for it in (_held(chat, account.loaded_until) for chat in chats) if it]
        if agent is None or not held:
            continue
        active = merged([span for chat, *_ in held for span in chat.active])
        first = min(start for _, start, _ in held)
        for hour in _hours(chats[0].hour_of(first), account.loaded_until):
            yield {"agent_id": agent, "hour_start": hour} | _load(held, active, hour)


def _held(chat: Chat, until: datetime) -> tuple[Chat, datetime, datetime] | None:
    """From when to when somebody had the chat in hand."""
    if chat.picked_up_at is None or (chat.is_closed and chat.closed_at is None):
        return None
    end = min(chat.finished_at or until, until)
    return (chat, chat.picked_up_at, end) if chat.picked_up_at < end else None


def _load(
    held: Sequence[tuple[Chat, datetime, datetime]], active: Sequence[tuple[datetime, datetime]], hour: datetime
) -> Row:
    spans = [(it[0], max(it[1], hour), min(it[2], hour + HOUR)) for it in held]
    inside = [it for it in spans if it[1] < it[2]]
    at_once = [sum(start <= moment < end for _, start, end in inside) for _, moment, _ in inside]
    told = sum(((end - start) / HOUR for chat, start, end in inside if chat.has_messages), 0.0)
    busy = sum(
        ((min(end, hour + HOUR) - max(start, hour)).total_seconds() for start, end in active
         if start < hour + HOUR and end > hour), 0.0
    )  # fmt: skip
    known = not inside or told > 0
    return {
        "mean_chats": sum(((end - start) / HOUR for _, start, end in inside), 0.0),
        "max_chats": max(at_once, default=0),
        "mean_chats_with_messages": told,
        "active_seconds": busy if known else None,
        "occupancy_proxy": busy / 3600 if known else None,
    }


@mart
def agent_board_weekly(account: Account) -> Iterator[Row]:
    def week_of(chat: Chat) -> date:
        return chat.created_day - timedelta(days=chat.created_day.weekday())

    owned = [chat for chat in account.chats if chat.agent_id is not None]
    for (agent, week), chats in grouped(owned, lambda it: (it.agent_id, week_of(it))).items():
        waits = [it for it in (_first_response(chat) for chat in chats if is_inbound(chat)) if it is not None]
        handled = [seconds_between(chat.picked_up_at, chat.finished_at) for chat in chats]
        handles = [it for it in handled if it is not None]
        verdicts = [
            it for it in (chat.verdict("first_response") for chat in chats if is_inbound(chat)) if it is not None
        ]
        ends = [chat.reopens > 0 for chat in chats if chat.is_closed or chat.reopens]
        ratings = [chat.rating for chat in chats if chat.rating is not None]
        yield {
            **{"agent_id": agent, "week": week, "chats": len(chats), "closed": sum(it.is_closed for it in chats)},
            **{"first_response_n": len(waits), "first_response_median_seconds": percentile(waits, 0.5)},
            "first_response_p90_seconds": percentile(waits, 0.9),
            **{"handle_n": len(handles), "handle_median_seconds": percentile(handles, 0.5)},
            **_interval("sla", "sla", verdicts),
            **_interval("reopened", "reopened", ends),
            **_interval("rating", "top_two", [rating >= 4 for rating in ratings]),
            "mean_rating": mean(ratings),
        }


def _interval(counted: str, name: str, verdicts: Sequence[bool]) -> Row:
    low, high = wilson(sum(verdicts), len(verdicts))
    return {
        f"{counted}_n": len(verdicts),
        f"{name}_share": share(sum(verdicts), len(verdicts)),
        **{f"{name}_share_low": low, f"{name}_share_high": high},
    }


# Contacts


def _by_contact(account: Account) -> dict[Any, list[Chat]]:
    return grouped((chat for chat in account.chats if chat.contact_id is not None), lambda it: it.contact_id)


@mart
def contact_frequency(account: Account) -> Iterator[Row]:
    for contact, chats in _by_contact(account).items():
        times = [chat.created_at for chat in chats]
        yield {
            **{"contact_id": contact, "loaded_until": account.loaded_until, "chats": len(times)},
            **{
                f"chats_{days}_days": sum(account.loaded_until - at <= days * DAY for at in times)
                for days in (7, 30, 90)
            },
            **{"first_chat_at": min(times), "last_chat_at": max(times)},
        }


@mart
def contact_concentration(account: Account) -> Iterator[Row]:
    for days in (7, 30, 90):
        counts = [row[f"chats_{days}_days"] for row in contact_frequency(account)]
        busy = sorted((count for count in counts if count), reverse=True)
        top = math.ceil(len(busy) / 10)
        if busy:
            yield {
                **{"days": days, "contacts": len(busy), "chats": sum(busy), "top_decile_contacts": top},
                **{"top_decile_chats": sum(busy[:top]), "top_decile_share": sum(busy[:top]) / sum(busy)},
            }


@mart
def contact_chains(account: Account) -> Iterator[Row]:
    for contact, chats in _by_contact(account).items():
        chains = [[chats[0]]]
        for before, chat in pairwise(chats):
            if chat.created_at - before.created_at < 72 * HOUR:
                chains[-1].append(chat)
            else:
                chains.append([chat])
        for number, chain in enumerate(chains, start=1):
            yield {
                **{"contact_id": contact, "chain_number": number, "first_day": chain[0].created_day},
                **{"first_chat_at": chain[0].created_at, "last_chat_at": chain[-1].created_at, "chats": len(chain)},
                "is_complete": chain[-1].created_at + 72 * HOUR <= account.loaded_until,
            }


@mart
def repeat_contact(account: Account) -> Iterator[Row]:
    for chats in _by_contact(account).values():
        for chat in (it for it in chats if it.finished_at is not None):
            later = [it for it in chats if is_inbound(it) and it.created_at > chat.closed_at]
            for hours in (24, 72, 168):
                end = chat.closed_at + hours * HOUR
                over = False if end <= account.loaded_until else None
                yield {
                    **{"chat_id": chat.id, "period_hours": hours, "closed_day": chat.day_of(chat.closed_at)},
                    **{"contact_id": chat.contact_id, "reopens": chat.reopens, **dimensions(chat)},
                    "repeated_any_channel": any(it.created_at <= end for it in later) or over,
                    "repeated_same_channel": any(
                        it.created_at <= end and it.provider == chat.provider for it in later
                    )
                    or over,
                }


@mart
def first_contact_resolution(account: Account) -> Iterator[Row]:
    judged = [row for row in repeat_contact(account) if row["period_hours"] == 168]
    names = ("closed_day", *DIMENSIONS)
    for key, chats in grouped(judged, lambda it: tuple(it[name] for name in names)).items():
        fates = Counter("reopened" if it["reopens"] else it["repeated_any_channel"] for it in chats)
        yield dict(zip(names, key, strict=True)) | {
            **{"closed": len(chats), "resolved_at_first_contact": fates[False], "repeated": fates[True]},
            **{"n_open": fates[None], "n_reopened": fates["reopened"]},
            "first_contact_resolution": share(fates[False], fates[False] + fates[True]),
        }


@mart
def new_and_returning(account: Account) -> Iterator[Row]:
    first = {chats[0].id for chats in _by_contact(account).values()}
    names = ("created_day", "provider", "direction")
    for key, chats in grouped(account.chats, lambda it: tuple(getattr(it, name) for name in names)).items():
        known = [chat for chat in chats if chat.contact_id is not None]
        new = sum(chat.id in first for chat in known)
        yield dict(zip(names, key, strict=True)) | {
            **{"chats": len(chats), "new_contacts": new, "returning_chats": len(known) - new},
            **{"without_contact": len(chats) - len(known), "new_share": share(new, len(known))},
        }


@mart
def contact_cohorts(account: Account) -> Iterator[Row]:
    months = {
        contact: {month_of(chat.created_day) for chat in chats if is_inbound(chat)}
        for contact, chats in _by_contact(account).items()
    }
    until = account.loaded_until.astimezone(account.zone).replace(tzinfo=None)
    for cohort, contacts in grouped((it for it in months if months[it]), lambda it: min(months[it])).items():
        number, month = 0, cohort
        while datetime(month.year, month.month, 1) < until:  # noqa: DTZ001 - both are local
            following = month_of(month + 31 * DAY)
            writing = sum(month in months[contact] for contact in contacts)
            yield {
                **{"cohort_month": cohort, "month_number": number, "contacts": len(contacts)},
                **{"writing_contacts": writing, "retention": writing / len(contacts)},
                "is_complete": datetime(following.year, following.month, 1) <= until,  # noqa: DTZ001
            }
            number, month = number + 1, following


@mart
def broadcast_reach(account: Account) -> Iterator[Row]:
    sends = [(chat, it["timestamp"]) for chat in account.chats for it in chat.told if it["broadcasted"]]
    for (day, provider, alias), of_day in grouped(
        sends, lambda it: (it[0].day_of(it[1]), it[0].provider, it[0].alias)
    ).items():
        replies = [(sent_at, _reply_after(chat, sent_at)) for chat, sent_at in of_day]
        known = [seconds for _, seconds in replies if seconds is not None]
        row: Row = {
            **{"sent_day": day, "provider": provider, "alias": alias, "sends": len(of_day)},
            "contacts": len({chat.contact_id for chat, _ in of_day if chat.contact_id is not None}),
            **{"chats": len({chat.id for chat, _ in of_day}), "n_reply": len(known)},
            **{"median_reply_seconds": percentile(known, 0.5), "p90_reply_seconds": percentile(known, 0.9)},
        }
        for hours in (24, 72):
            within = [seconds is not None and seconds <= hours * 3600 for _, seconds in replies]
            over = [sent_at + hours * HOUR <= account.loaded_until for sent_at, _ in replies]
            n = sum(replied or done for replied, done in zip(within, over, strict=True))
            row |= {f"n_{hours}_h": n, f"replied_in_{hours}_h": sum(within)}
            row[f"replied_in_{hours}_h_share"] = share(sum(within), n)
        yield row


def _reply_after(chat: Chat, sent_at: datetime) -> float | None:
    later = [it["timestamp"] for it in chat.told if it["incoming"] and it["timestamp"] > sent_at]
    return seconds_between(sent_at, later[0]) if later else None
