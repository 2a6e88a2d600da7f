"""Whether the body of an answer arrived whole, and is a JSON object at all.

Cut bodies are transient and read again; whole ones of another kind are contract errors, kept as received. Not here:
which keys the object holds (`decoding.py`).
"""

import codecs
import gzip
import zlib
from typing import Unpack

import msgspec

from b2chat_pipeline.b2chat.decoding import loosely
from b2chat_pipeline.b2chat.errors import Attempted, ContractError, TransientError


def unzipped(raw: bytes, encoding: str, **attempted: Unpack[Attempted]) -> bytes:
    """The body without its content encoding. Raises TransientError for gzip that is cut or broken."""
    if encoding.strip().lower() not in {"gzip", "x-gzip"}:
        return raw
    try:
        # Unlike a streaming decoder this notices a missing end and a wrong checksum.
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise TransientError("the gzip body was cut or broken", **attempted) from error


def unmarked(body: bytes) -> bytes:
    """The body without a byte order mark: no JSON has one, but a reader may pass over it (RFC 8259)."""
    return body.removeprefix(codecs.BOM_UTF8)


def require_object(body: bytes, **attempted: Unpack[Attempted]) -> None:
    """Raises TransientError where a JSON object ends in the middle, ContractError with the body where it is none."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        if _is_loosely_an_object(body):
            return
        if _is_cut(body, error):
            raise TransientError("the JSON of the answer ends in the middle", **attempted) from None
        # The decoder's text may quote the body, so it stays out of ours.
        raise ContractError(f"the answer is {_kind(body)} instead of a JSON object", body=body, **attempted) from None


def _is_loosely_an_object(body: bytes) -> bool:
    """Whether only odd text or numbers stood in the way: those are one record's matter."""
    try:
        return isinstance(loosely(body), dict)
    except (ValueError, RecursionError):
        return False


def _is_cut(body: bytes, error: Exception) -> bool:
    text = body.strip()
    # The decoder calls a number that ends in "-" or "." malformed, hence the look at the last byte.
    return text.startswith(b"{") and ("truncated" in str(error) or not text.endswith(b"}"))


def _kind(body: bytes) -> str:
    start = body.lstrip()[:1]
    if not start:
        return "empty"
    if start == b"<":
        return "an HTML or XML page"
    return "another JSON value" if start == b"[" else "malformed or no JSON"
