"""Sends notices to channels outside, by way of apprise: each at least once, in order, however often a channel fails.

Here belong channels and sending. Not here: what is told (`troubles.py`), what waits (`warehouse/outbox.py`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from time import monotonic

from psycopg import Connection

from b2chat_pipeline.warehouse.outbox import Notice, give_up, not_sent, sent, take


@dataclass(frozen=True)
class Delivery:
    """What became of notices in one go."""

    sent: int
    refused: int


def channel_name(url: str) -> str:
    """What a channel is called where others may read it: its kind, and a hash of its address."""
    return f"{url.partition(':')[0].lower()}-{sha256(url.encode()).hexdigest()[:8]}"


def deliver(connection: Connection, urls: Sequence[str], *, now: datetime, seconds: float) -> Delivery:
    """Send what is due to the channels with these addresses, for about so many seconds.

    A notice is taken off in the transaction that sends it: where that is cut off, it is sent again. A channel that does
    not take one keeps the order of its notices, and does not hold up other channels.
    """
    channels = {channel_name(url): url for url in urls}
    give_up(connection, channels, now=now)
    ends_at = monotonic() + seconds
    taken = refused = 0
    for channel, url in channels.items():
        goes_on = True
        while goes_on and monotonic() < ends_at:
            outcome = _next(connection, channel, url, now=now)
            taken, refused = taken + (outcome is True), refused + (outcome is False)
            goes_on = outcome is True
    return Delivery(taken, refused)


def _next(connection: Connection, channel: str, url: str, *, now: datetime) -> bool | None:
    """Send the next notice of a channel: whether it was taken, or None where none is due."""
    with connection.transaction():
        taken = take(connection, channel, now=now)
        if taken is None:
            return None
        trouble = _send(url, taken.notice)
        if trouble is None:
            sent(connection, taken, now=now)
        else:
            not_sent(connection, taken, trouble, now=now)
    return trouble is None


def _send(url: str, notice: Notice) -> str | None:
    """Why a channel did not take a notice; None where it did."""
    # It costs half a second of a processor, and few processes send anything.
    import apprise

    # Its own words repeat parts of the address.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    kind = apprise.NotifyType("failure" if notice.type == "error" else notice.type)
    channel = apprise.Apprise()
    try:
        if not channel.add(url):
            return "apprise knows no such address: correct it in B2CHAT_NOTIFY_URLS"
        told = channel.notify(
            body=notice.body, title=notice.title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
    except Exception as error:  # noqa: BLE001 - whatever a channel's own library does, the others are told
        return f"apprise failed with {type(error).__name__}: see that what the channel needs is installed"
    return None if told else "the channel did not take it: see that it is there and that the address is right"
