"""The access token: how it is read from the token endpoint's answer, and how long it is used.

The API gives one token per account, living 24 hours; asking again brings the same one with the seconds it has left, so
the life told to a new process may be of any length. Not here: sending the request, and renewing it after a 401
(`client.py`).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Unpack

import msgspec

from b2chat_pipeline.b2chat.body import require_object
from b2chat_pipeline.b2chat.errors import Attempted, AuthenticationError, ContractError, error_for_status
from b2chat_pipeline.b2chat.transport import Reply

TOKEN_ENDPOINT = "/oauth/token"  # noqa: S105 - a path

# What fits into a header: anything else would be quoted by the HTTP library's own error.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_LONGEST_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class AccessToken:
    """An opaque token. `expires_at` (UTC) is None where no usable life was told: it is used until it is refused."""

    value: str = field(repr=False)
    expires_at: datetime | None

    def has_expired(self, now: datetime) -> bool:
        """Whether its told life is over at `now` (UTC)."""
        return self.expires_at is not None and now >= self.expires_at


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: Any = None


def token_from(reply: Reply, **attempted: Unpack[Attempted]) -> AccessToken:
    """The token in an answer of the token endpoint. Raises AuthenticationError where the credentials are refused."""
    if reply.status in {400, 401}:
        raise AuthenticationError(f"the credentials were refused with status {reply.status}", **attempted)
    if reply.status != 200:
        raise error_for_status(reply.status, retry_at=reply.retry_at, **attempted)
    answer = _decoded(reply.body, attempted)
    return AccessToken(answer.access_token, _expiry(answer.expires_in, reply.requested_at))


def _decoded(body: bytes, attempted: Attempted) -> _TokenAnswer:
    try:
        require_object(body, **attempted)
        answer = msgspec.json.decode(body, type=_TokenAnswer)
    except ContractError as error:
        # Without its body, here and below: it may hold a token, and bodies of contract errors are stored.
        raise ContractError(error.problem, **attempted) from None
    except ValueError:
        raise ContractError("the answer holds no access_token", **attempted) from None
    if not _HEADER_SAFE.fullmatch(answer.access_token):
        raise ContractError("the access_token is empty or holds characters that no header may", **attempted)
    return answer


def _expiry(expires_in: object, requested_at: datetime) -> datetime | None:
    if isinstance(expires_in, int | float) and expires_in > 0:
        return requested_at + min(timedelta(seconds=min(expires_in, 1e9)), _LONGEST_LIFE)
    # Zero and less would ask for a new token before every request.
    return None
