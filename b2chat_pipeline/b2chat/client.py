"""The B2Chat client: one call brings one raw page, through tokens, budget, time-outs and retries.

Here belongs the order in which these act. Not here: paging, the meaning of a page (`decoding.py`), counting the budget
(`RequestBudget` is implemented by the warehouse), or any storing.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
import tenacity

from b2chat_pipeline.b2chat.body import require_object, unmarked
from b2chat_pipeline.b2chat.errors import (
    Attempted,
    AuthenticationError,
    BudgetExhausted,
    RequestTimeout,
    TransientError,
    error_for_status,
)
from b2chat_pipeline.b2chat.limits import DEFAULT_POLICY, SMALLEST_PAGE, RequestBudget, RetryPolicy
from b2chat_pipeline.b2chat.token import TOKEN_ENDPOINT, AccessToken, token_from
from b2chat_pipeline.b2chat.transport import Reply, Transport
from b2chat_pipeline.policy import RequestClass

__all__ = ["Answer", "B2ChatClient", "Credentials", "RequestBudget", "RequestClass", "RetryPolicy"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """User name and password of the account's API credentials page. Never shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """One page as received. `requested_at` (UTC), `seconds` belong to the attempt that brought it."""

    body: bytes = field(repr=False)
    requested_at: datetime
    seconds: float
    params: dict[str, str | int]
    attempts: int


@dataclass
class _Call:
    """One `get` in progress."""

    endpoint: str
    params: dict[str, str | int]
    window: str
    ends_at: float
    attempt: int = 0
    token_renewed: bool = False

    def attempted(self, method: str, endpoint: str) -> Attempted:
        # Only the position: other parameters may be a person's name or number.
        position = [f"{name} {self.params[name]}" for name in ("offset", "limit") if name in self.params]
        detail = ", ".join([*position, f"attempt {self.attempt}"])
        return Attempted(method=method, endpoint=endpoint, window=self.window, attempt=detail)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class B2ChatClient:
    """A connection to one account, for one thread at a time. Raises PermanentError for an unsafe URL.

    `clock` tells the UTC time; `sleep` waits a number of seconds. `requests` counts all that were sent: those for a
    token and those that brought no page too. With `probing`, nothing is retried until there was an answer: the source
    is known to be down, and one request tells whether it still is.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        budget: RequestBudget,
        request_class: RequestClass,
        policy: RetryPolicy = DEFAULT_POLICY,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        probing: bool = False,
    ) -> None:
        self._transport = Transport(base_url, policy, clock=clock)
        self._credentials = credentials
        self._budget = budget
        self._request_class: RequestClass = request_class
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._backoff = tenacity.wait_random_exponential(multiplier=policy.first_wait, max=policy.longest_wait)
        self._token: AccessToken | None = None
        self._probing = probing
        self.requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.close()

    def get(self, endpoint: str, params: Mapping[str, str | int], *, window: str) -> Answer:
        """One page of `endpoint` (such as `/chats/export`), retried while that may help; `window` only names it.

        Raises TransientError when patience is at its end (RequestTimeout: a smaller `limit` may succeed),
        PermanentError at once, BudgetExhausted when no request may be sent for now.
        """
        call = _Call(endpoint, dict(params), window, ends_at=time.monotonic() + self._policy.total_deadline)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=self._wait,
            stop=lambda state: self._is_over(state, call),
            before_sleep=_log_retry,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self._attempt, call)

    def _attempt(self, call: _Call) -> Answer:
        call.attempt += 1
        try:
            reply = self._page(call)
            if reply.status == 401 and not call.token_renewed:
                call.token_renewed = True
                self._token = None
                reply = self._page(call)
            return self._answer(reply, call)
        except TransientError as error:
            self._heed_long_pause(error, call)
            raise

    def _page(self, call: _Call) -> Reply:
        if self._token is None or self._token.has_expired(self._clock()):
            self._token = self._new_token(call)
        attempted = call.attempted("GET", call.endpoint)
        seconds = self._permission(call, attempted)
        return self._transport.get(call.params, token=self._token.value, seconds=seconds, attempted=attempted)

    def _answer(self, reply: Reply, call: _Call) -> Answer:
        attempted = call.attempted("GET", call.endpoint)
        if reply.status == 401:
            raise AuthenticationError("the request was refused with status 401, also with a new token", **attempted)
        if reply.status != 200:
            raise error_for_status(reply.status, retry_at=reply.retry_at, **attempted)
        body = unmarked(reply.body)
        require_object(body, **attempted)
        self._probing = False
        return Answer(body, reply.requested_at, reply.seconds, call.params, call.attempt)

    def _new_token(self, call: _Call) -> AccessToken:
        attempted = call.attempted("POST", TOKEN_ENDPOINT)
        auth = httpx.BasicAuth(self._credentials.username, self._credentials.password)
        form = {"grant_type": "client_credentials"}
        seconds = self._permission(call, attempted)
        try:
            reply = self._transport.post_form(form, auth=auth, seconds=seconds, attempted=attempted)
            return token_from(reply, **attempted)
        except RequestTimeout as error:
            # A slow token is no reason for the caller to ask for smaller pages.
            raise TransientError(error.problem, retry_at=error.retry_at, **attempted) from error

    def _permission(self, call: _Call, attempted: Attempted) -> float:
        """Wait for the budget, and tell how many seconds the request may then take."""
        try:
            wait = self._budget.take(self._request_class)
        except BudgetExhausted as error:
            raise BudgetExhausted(error.problem, until=error.until, **attempted) from None
        self.requests += 1
        if wait > 0:
            self._sleep(wait)
            call.ends_at += wait
        return max(0.0, min(self._policy.attempt_deadline, call.ends_at - time.monotonic()))

    def _heed_long_pause(self, error: TransientError, call: _Call) -> None:
        until = error.retry_at
        if until is None or (until - self._clock()).total_seconds() <= self._policy.retry_after_ceiling:
            return
        self._budget.block_until(until)
        raise BudgetExhausted(
            f"{error.problem} and asked to stay away until {until:%Y-%m-%d %H:%M:%S} UTC",
            until=until,
            **call.attempted(error.method, error.endpoint),
        ) from error

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = _error(state)
        if error.retry_at is None:
            return self._backoff(state)
        return max(0.0, (error.retry_at - self._clock()).total_seconds())

    def _is_over(self, state: tenacity.RetryCallState, call: _Call) -> bool:
        policy = self._policy
        page_is_large = int(call.params.get("limit", 0)) > SMALLEST_PAGE
        may_be_the_page = page_is_large and isinstance(_error(state), RequestTimeout)
        attempts = policy.timeout_attempts if may_be_the_page else policy.attempts
        return (
            self._probing or state.attempt_number >= attempts or time.monotonic() + state.upcoming_sleep > call.ends_at
        )


def _error(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError("only a transient error is retried")
    return error


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = _error(state)
    logger.warning("%s: %s; trying again in %.1f s", error.subject, error.problem, state.upcoming_sleep)
