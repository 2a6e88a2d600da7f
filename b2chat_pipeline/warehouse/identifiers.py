"""Primary keys: strings that sort by time, so that new rows land at the right-hand edge of their index.

Random keys cost up to ten times as much on upserts into large tables. Two kinds: `new_id` for rows that record an event
of ours, and `derived_id` for rows that stand for something of the source: the same thing always gets the same key,
whoever loads it, in whatever order, so loading is idempotent by construction and a rebuilt table has the same keys.
"""

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b

SEPARATOR = "\x1f"


def new_id() -> str:
    """A new key: `c`, the time in milliseconds, 64 random bits."""
    return f"c{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"


def derived_id(order: int, *parts: str) -> str:
    """The key of a thing of the source: `c`, a number to sort by, 96 bits of the hash over `parts`."""
    return derived_ids(*parts[:-1])(order, parts[-1])


def derived_ids(*first: str) -> Callable[[int, str], str]:
    """Makes keys of things whose parts begin alike, from a number to sort by and their other parts, joined."""
    begun = blake2b("".join(f"{part}{SEPARATOR}" for part in first).encode("utf-8", "surrogatepass"), digest_size=12)

    def make(order: int, rest: str) -> str:
        whole = begun.copy()
        whole.update(rest.encode("utf-8", "surrogatepass"))
        return f"c{order:010x}{whole.hexdigest()}"

    return make


def epoch_seconds(instant: datetime) -> int:
    """Whole seconds since 1970, never below 0: the number that keys of timed things sort by."""
    return max(0, int(instant.timestamp()))
