"""Mutants that nobody can notice, since they mean the same as the model: each with the reason.

A mutant is named by model, line and change, as `make mutants` tells it.
"""

from collections.abc import Mapping, Sequence

_BY_REASON: Mapping[str, Sequence[str]] = {
    "The column is the same in every row, so its least value is its greatest.": (
        "agent_concurrency_hourly:21: MIN(loaded_until) -> MAX(loaded_until)",
        "contact_chains:24: MAX(loads.loaded_until) -> MIN(loads.loaded_until)",
    ),
    "Clocks are whole seconds, and hours end at one: no instant lies between one microsecond before and two.": (
        "backlog_daily:12: INTERVAL '1 MICROSECOND' -> INTERVAL '2 MICROSECOND'",
        "backlog_hourly:34: INTERVAL '1 MICROSECOND' -> INTERVAL '2 MICROSECOND'",
        "contact_cohorts:27: INTERVAL '1 MICROSECOND' -> INTERVAL '2 MICROSECOND'",
    ),
    "Stands for ever.": (
        "backlog_hourly:18: INTERVAL '1000000 HOURS' -> INTERVAL '1000001 HOURS'",
        "backlog_hourly:18: INTERVAL '1000000 HOURS' -> INTERVAL '999999 HOURS'",
    ),
    "A step of no length adds one and takes one at the same instant.": (
        "backlog_hourly:20: life.began_at + age.lower < life.ended_at -> life.began_at + age.lower <= life.ended_at",
        (
            "agent_concurrency_hourly:14: chat.picked_up_at < loads.loaded_until"
            " -> chat.picked_up_at <= loads.loaded_until"
        ),
    ),
    "The hour that a span ends with gets no second of it.": (
        "agent_concurrency_hourly:82: hour.hour_start < UPPER(active.span) -> hour.hour_start <= UPPER(active.span)",
        "agent_concurrency_hourly:82: without WHERE hour.hour_start < UPPER(active.span)",
    ),
    "Chats of one contact at one instant are in one chain, whichever comes first.": (
        "contact_chains:11: chat_id -> chat_id DESC",
        "contact_chains:17: chat_id -> chat_id DESC",
    ),
    "Contacts with as many chats each: whichever of them counts to the busiest tenth, the sums are the same.": (
        "contact_concentration:8: frequency.contact_id -> frequency.contact_id DESC",
    ),
    "Returns after the longest period are read and not counted, or are those of a shorter one.": (
        "repeat_contact:17: INTERVAL '168 HOURS' -> INTERVAL '169 HOURS'",
        "repeat_contact:17: without later.created_at <= chat.closed_at + INTERVAL '168 HOURS'",
    ),
    "Every chat is timed.": ("chat_metrics:435: inner -> left join of timed",),
    "What has no key joins no chat.": (
        "chat_metrics:44: inner -> left join of message",
        "chat_metrics:132: inner -> left join of chosen",
        "chat_metrics:149: inner -> left join of change",
    ),
    "All turns of a chat are of its day.": ("chat_metrics:133: without chosen.created_day = turn.created_day",),
    "There is one first turn.": ("chat_metrics:124: MIN(turn.reply_at) -> MAX(turn.reply_at)",),
    "Asked only of chats whose first message is outgoing.": (
        "chat_metrics:60: without WHERE NOT told.incoming in MIN(told.sent_at) FILTER(WHERE NOT told.incoming)",
        "chat_metrics:406: without talk.first_incoming_at >= counts.first_outgoing_at",
    ),
    "A change with an old value tells whether that was a closing.": (
        "chat_metrics:156: COUNT(*) -> COUNT(changes.was_closed)",
        "chat_metrics:157: COUNT(*) -> COUNT(changes.was_closed)",
        "chat_metrics:159: COUNT(*) -> COUNT(changes.was_closed)",
    ),
    "Whether either is known does not depend on their order.": (
        (
            "chat_metrics:341: COALESCE(replies.first_reply_at, directed.response_at)"
            " -> COALESCE(directed.response_at, replies.first_reply_at)"
        ),
    ),
    "A distance is the same from either end.": (
        (
            "chat_metrics:342: replies.first_reply_at - directed.response_at"
            " -> directed.response_at - replies.first_reply_at"
        ),
    ),
    "An open chat without an answer has no clock that stopped.": (
        "chat_metrics:429: without directed.response_at IS NULL",
    ),
    "What has no message begins no run of the customer.": ("message_turns:29: inner -> left join of message",),
    "Every message is of a chosen chat.": ("message_turns:93: inner -> left join of chosen",),
    "Whether either is known does not depend on which is asked first.": (
        "masked_contacts:7: COALESCE(mobile, phone_number) -> COALESCE(phone_number, mobile)",
    ),
    "A chat without messages has no rows there.": (
        "agent_concurrency_hourly:68: without WHERE has_messages",
        "media_daily:10: without has_messages",
        "media_daily:23: inner -> left join of message",
    ),
    "No chat has a value twice.": ("chat_dimensions:5: union all -> union",),
    "A department that is not in the tree stands for itself.": ("chat_dimensions:20: without above.id = own.id",),
    "Every turn is of a chat and of its day.": (
        "chat_durations:39: inner -> left join of chat",
        "chat_durations:39: without chat.created_day = turn.created_day",
    ),
    "Every message has the number of its run.": ("message_turns:56: COUNT(*) -> COUNT(numbered.run)",),
    "Only contacts that are known are counted.": ("contact_chains:16: COUNT(*) -> COUNT(contact_id)",),
    "A contact of a cohort wrote in a month.": ("contact_cohorts:45: inner -> left join of month",),
    "An aggregate of no rows is a row.": ("broadcast_reach:15: left -> inner join of reply",),
    "What is no longer than a day has its bucket already.": (
        "response_histogram:31: seconds > 86400 -> seconds >= 86400",
        "response_histogram:31: 86400 -> 86399 in seconds > 86400",
    ),
    "Narrows what is read; the first opening that uses up the target is the same.": (
        "sla_breaches:33: without breach.in_business_time",
        "sla_breaches:36: without hours.opens_at > breach.started_at - INTERVAL '25 HOURS'",
        (
            "sla_breaches:36: hours.opens_at > breach.started_at - INTERVAL '25 HOURS'"
            " -> hours.opens_at >= breach.started_at - INTERVAL '25 HOURS'"
        ),
        "sla_breaches:36: INTERVAL '25 HOURS' -> INTERVAL '26 HOURS'",
        "sla_breaches:37: hours.closes_at > breach.started_at -> hours.closes_at >= breach.started_at",
        "sla_breaches:38: without hours.opens_at < breach.ended_at",
        "sla_breaches:38: hours.opens_at < breach.ended_at -> hours.opens_at <= breach.ended_at",
    ),
    "Known of every row that is counted there.": (
        # A load tells how many records it was to bring.
        "load_completeness:19: COUNT(*) -> COUNT(expected)",
        # Whatever is answered within its window left some of it.
        "whatsapp_window_daily:11: COUNT(*) -> COUNT(window_left_seconds)",
        # To be outside of hours is to wait for the next ones.
        "after_hours_daily:12: COUNT(*) -> COUNT(wait_until_opening_seconds)",
        "after_hours_daily:13: COUNT(*) -> COUNT(wait_until_opening_seconds)",
        # Only a response that was timed keeps its promise.
        "arrival_heat_map:26: COUNT(*) -> COUNT(chat.first_response_seconds)",
        "arrival_heat_map:27: COUNT(*) -> COUNT(chat.first_response_seconds)",
        # A verdict has a start.
        "sla_daily:9: COUNT(*) -> COUNT(started_at)",
        "sla_daily:10: COUNT(*) -> COUNT(started_at)",
        "sla_daily:13: COUNT(*) -> COUNT(started_at)",
        # Where there is a chat, an hour was loaded.
        "contact_chains:23: COUNT(*) -> COUNT(loads.loaded_until)",
        "contact_frequency:6: COUNT(*) -> COUNT(loads.loaded_until)",
        # Numbers, counts and comparisons with NULL of all rows.
        "new_and_returning:16: COUNT(*) -> COUNT(place)",
        "contact_concentration:18: COUNT(*) -> COUNT(chats)",
        "contact_concentration:20: COUNT(*) -> COUNT(chats)",
        "open_now:5: COUNT(*) -> COUNT(is_unassigned)",
        "open_now:8: COUNT(*) -> COUNT(is_unassigned)",
        # What has no name comes after no other.
        "tag_pairs_monthly:13: COUNT(*) -> COUNT(other.tag)",
    ),
    "Every chat has a month, and counts for the account.": (
        "tag_mix_monthly:21: inner -> left join of month",
        "performance_daily:33: inner -> left join of place",
    ),
    "A chat has one day, and either side of the join is of the days.": (
        (
            "performance_daily:11: without WHERE created_day BETWEEN CAST('1970-01-01' AS DATE)"
            " AND CAST('1970-01-02' AS DATE)"
        ),
        (
            "performance_daily:19: without WHERE created_day BETWEEN CAST('1970-01-01' AS DATE)"
            " AND CAST('1970-01-02' AS DATE)"
        ),
    ),
    "Each tag of a pair is one of the month's tags; what is none finds none.": (
        "tag_pairs_monthly:15: inner -> left join of other",
        "tag_pairs_monthly:22: inner -> left join of first",
        "tag_pairs_monthly:23: inner -> left join of second",
    ),
    "Only a turn that was answered has another after it.": (
        (
            "chat_metrics:124: without WHERE turn.turn_number = 1"
            " in MIN(turn.reply_at) FILTER(WHERE turn.turn_number = 1)"
        ),
    ),
    "Both values are asked about in the same way.": ("chat_metrics:141: change.old <-> change.new",),
    "Asked only beside `was_closed`, which is of a status.": ("chat_metrics:147: without change.field = 'status'",),
    "No words are as much below ten as one is.": ("scoring_candidates:15: 0 -> 1 in COALESCE(said.words, 0)",),
    "What is scored was settled, so that it is known what was paid.": (
        "scoring_spending_daily:11: COUNT(*) -> COUNT(call.cost_usd)",
        "scoring_cost_daily:28: COUNT(*) -> COUNT(cost.paid_usd)",
    ),
    "A chat that is not there has no status.": ("scoring_cost_daily:20: inner -> left join of chat",),
    "What is no candidate has no day, and a day without chats no candidate.": (
        "effectiveness_daily:29: inner -> left join of candidate",
        "effectiveness_daily:55: inner -> left join of chat",
    ),
    "One scoring is chosen for each, whichever comes first.": (
        "effectiveness_daily:22: analysis.chat_id -> analysis.chat_id DESC",
        "effectiveness_daily:22: judge.model -> judge.model DESC",
        "effectiveness_daily:22: judge.prompt_version -> judge.prompt_version DESC",
    ),
    "The middle is the same from either end.": (
        "arrival_heat_map:24: chat.first_response_seconds -> chat.first_response_seconds DESC",
        "agent_board_weekly:15: handle_seconds -> handle_seconds DESC",
        "broadcast_reach:52: reply_seconds -> reply_seconds DESC",
    ),
}
EQUIVALENT = frozenset(key for keys in _BY_REASON.values() for key in keys)
