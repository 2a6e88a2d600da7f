"""What any value must satisfy before it is stored, and the hash that says whether stored values have changed.

Not here: what a value means (`mapping.py`, `contacts.py`).
"""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec
from psycopg.types.json import Jsonb

from b2chat_pipeline.b2chat.contract import REPLACEMENT

# Part of every hash: raising it makes each row differ once, so a changed mapping reaches rows already loaded.
MAPPING_VERSION = 2
# A b-tree refuses entries above about 2,700 bytes; 500 characters of any script stay below.
LONGEST_INDEXED_TEXT = 500
# Python gives up at about a thousand levels, less where a caller is deep already.
DEEPEST_NESTING = 600


class UnstorableError(Exception):
    """A value that no column takes; it becomes a Misfit of its record."""

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(reason)
        self.reason, self.path = reason, path


def content_hash(*values: object) -> bytes:
    """A hash over mapped values; equal hashes mean that nothing the tables hold has changed."""
    return blake2b(msgspec.json.encode((MAPPING_VERSION, *values)), digest_size=16).digest()


def lines_hash(lines: bytes) -> bytes:
    """The same over a set of values, given as lines of JSON in any order."""
    whole = blake2b(b"%d" % MAPPING_VERSION, digest_size=16)
    # Line by line: for 2 kB and more at once, Python lets another thread run, and waits until it may go on.
    for line in sorted(lines.split(b"\n")):
        whole.update(b"\n")
        whole.update(line)
    return whole.digest()


def jsonb(value: object) -> Jsonb | None:
    """A value for a jsonb column; None stays NULL, which means "not told"."""
    return None if value is None else Jsonb(value)


def check_key(key: str, path: str) -> None:
    """Raises UnstorableError where a key is empty, was not told exactly, or is too long to be indexed."""
    if not key.strip():
        raise UnstorableError("the key is empty", path)
    if REPLACEMENT in key:
        raise UnstorableError("the key holds characters no text column takes", path)
    check_indexed(key, path)


def check_indexed(text: str | None, path: str) -> None:
    """Raises UnstorableError where a text is too long for its index."""
    if text is not None and len(text) > LONGEST_INDEXED_TEXT:
        raise UnstorableError(f"longer than {LONGEST_INDEXED_TEXT} characters, which its index does not take", path)


def check_nesting(value: object, path: str) -> None:
    """Raises UnstorableError where a value of any form is nested too deeply to be written."""
    if value is None:
        return
    level = [value]
    for _ in range(DEEPEST_NESTING):
        level = [inner for outer in level if isinstance(outer, list | dict) for inner in _members(outer)]
        if not level:
            return
    raise UnstorableError(f"nested more than {DEEPEST_NESTING} levels deep", path)


def _members(value: list[object] | dict[str, object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value
