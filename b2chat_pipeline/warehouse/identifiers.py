"""Primary keys: strings that sort by time, so that new rows land at the right-hand edge of their index.

Random keys cost up to ten times as much on upserts into large tables. Two kinds: `new_id` for rows that record an event
of ours, and `derived_id` for rows that stand for something of the source: the same thing always gets the same key,
whoever loads it, in whatever order, so loading is idempotent by construction and a rebuilt table has the same keys.
"""

import secrets
import time
from datetime import datetime
from hashlib import blake2b

_SEPARATOR = b"\x1f"


def new_id() -> str:
    """A new key: `c`, the time in milliseconds, 64 random bits."""
    return f"c{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"


def derived_id(order: int, *parts: str) -> str:
    """The key of a thing of the source: `c`, a number to sort by, 96 bits of the hash over `parts`."""
    digest = blake2b(_SEPARATOR.join(part.encode("utf-8", "surrogatepass") for part in parts), digest_size=12)
    return f"c{order:010x}{digest.hexdigest()}"


def epoch_seconds(instant: datetime) -> int:
    """Whole seconds since 1970, never below 0: the number that keys of timed things sort by."""
    return max(0, int(instant.timestamp()))
