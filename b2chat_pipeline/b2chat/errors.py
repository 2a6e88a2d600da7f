"""What can go wrong between us and the B2Chat API, as types: who may try again, and what the operator does next.

Here belong the exceptions of this package and the map from an HTTP status to one of them. Not here: how often something
is retried (`client.py`), or what a failed window means for a run. `str()` of each is one sentence and may be logged: it
never holds credentials, a token, a search term or a piece of an answer's body.
"""

from datetime import datetime
from typing import ClassVar, TypedDict, Unpack


class Attempted(TypedDict, total=False):
    """What was being done when an error arose: the first half of its sentence."""

    method: str
    endpoint: str
    window: str
    attempt: str


class B2ChatError(Exception):
    """A request to B2Chat that brought no page.

    `problem` is what happened, `next_step` what the operator does now, `window` a text such as `2025-03-03..2025-03-05`
    (or empty), `attempt` the position and count, such as `offset 200, attempt 2`.
    """

    usual_next_step: ClassVar[str] = "run this window again, and report the fault if it stays"

    def __init__(self, problem: str, *, next_step: str = "", **attempted: Unpack[Attempted]) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step or self.usual_next_step
        self.method = attempted.get("method", "GET")
        self.endpoint = attempted.get("endpoint", "")
        self.window = attempted.get("window", "")
        self.attempt = attempted.get("attempt", "")

    @property
    def subject(self) -> str:
        """What was attempted, such as `GET /chats/export (window 2025-03-03..2025-03-05, offset 200, attempt 1)`."""
        details = ", ".join(part for part in (self.window and f"window {self.window}", self.attempt) if part)
        request = f"{self.method} {self.endpoint}" if self.endpoint else "B2Chat request"
        return f"{request} ({details})" if details else request

    def __str__(self) -> str:
        """One sentence: what was attempted, what happened, what to do next."""
        return f"{self.subject}: {self.problem}; {self.next_step}."


class TransientError(B2ChatError):
    """Trouble that passes by itself: 408, 425, 429, 5xx, connection, DNS, TLS, time-out, cut or undecodable body.

    `retry_at` (UTC) is when the source said to come back, None where it said nothing that can be read.
    """

    usual_next_step = "nothing was changed, the next run reads this window again; if it lasts, ask B2Chat support"

    def __init__(
        self,
        problem: str,
        *,
        retry_at: datetime | None = None,
        next_step: str = "",
        **attempted: Unpack[Attempted],
    ) -> None:
        super().__init__(problem, next_step=next_step, **attempted)
        self.retry_at = retry_at


class RateLimitedError(TransientError):
    """The source answered 429: too many requests."""

    usual_next_step = "the next run continues; if it happens often, lower the configured request rate"


class RequestTimeout(TransientError):  # noqa: N818 - the established name of this condition
    """The source took too long to answer a request for data: a smaller page may succeed."""

    usual_next_step = "the next run reads this window again; if it lasts, lower the page size"


class PermanentError(B2ChatError):
    """Trouble that trying again cannot mend."""

    usual_next_step = "check the API URL and the account's API access in B2Chat, then run this window again"


class AuthenticationError(PermanentError):
    """The credentials were refused, or a request was refused with two tokens in a row."""

    usual_next_step = "check the API user name and password on the account's API credentials page, then run again"


class ForbiddenError(PermanentError):
    """The credentials are good but may not do this (403)."""

    usual_next_step = "have B2Chat enable the export API for this account, then run again"


class NotFoundError(PermanentError):
    """The API has no such endpoint (404)."""

    usual_next_step = "check the API URL, then run this window again"


class InvalidRequestError(PermanentError):
    """The API refused the parameters (400, 422)."""

    usual_next_step = "check the dates of this window; if they are right, the API has changed: report it"


class ContractError(PermanentError):
    """An answer with status 200 that is complete and yet not what the contract says.

    `body` is the answer as received, for storing; empty where it may hold a secret.
    """

    usual_next_step = "look at the stored raw answer and at the API's status page, then run this window again"

    def __init__(
        self,
        problem: str,
        *,
        body: bytes = b"",
        next_step: str = "",
        **attempted: Unpack[Attempted],
    ) -> None:
        super().__init__(problem, next_step=next_step, **attempted)
        self.body = body


class IncompleteListError(PermanentError):
    """A list that did not hold still told fewer records than it holds, however often it was walked."""

    usual_next_step = (
        "run this window again in smaller parts, since a list that fits on one page is right in any order, and ask"
        " B2Chat support if it lasts"
    )


class BudgetExhausted(B2ChatError):  # noqa: N818 - a state that ends a run in good order, not a failure
    """Our own request budget is used up, or the source asked for a longer pause than one run waits for.

    `until` (UTC) is when requests are possible again, None where that is not known.
    """

    usual_next_step = "nothing is lost, a later run continues from here"

    def __init__(
        self,
        problem: str,
        *,
        until: datetime | None = None,
        next_step: str = "",
        **attempted: Unpack[Attempted],
    ) -> None:
        super().__init__(problem, next_step=next_step, **attempted)
        self.until = until


_PERMANENT: dict[int, type[PermanentError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    422: InvalidRequestError,
}
_TRANSIENT: dict[int, type[TransientError]] = {
    408: RequestTimeout,
    425: TransientError,
    429: RateLimitedError,
    504: RequestTimeout,
}


def error_for_status(status: int, *, retry_at: datetime | None, **attempted: Unpack[Attempted]) -> B2ChatError:
    """The error that an answer with a status other than 200 stands for; the caller raises it."""
    problem = f"the answer had status {status}"
    if status in _TRANSIENT or status >= 500:
        return _TRANSIENT.get(status, TransientError)(problem, retry_at=retry_at, **attempted)
    if 300 <= status < 400:
        return PermanentError(
            f"{problem}, a redirect, which is not followed because it could carry the credentials to another host",
            next_step="correct the API URL, then run again",
            **attempted,
        )
    if status < 300:
        return ContractError(f"{problem} where 200 was expected", **attempted)
    return _PERMANENT.get(status, PermanentError)(problem, **attempted)
