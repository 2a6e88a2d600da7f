"""The model's service: one call asks it once, through time-outs and retries, and brings back the answer as received.

Here belong the SDK and what its errors mean. The SDK's own retries are off: they sit out whatever pause the service
asks for. Not here: batches (`batch_service.py`), what is asked (`requests.py`), what the answer says (`replies.py`),
what it costs (`ledger.py`).
"""

import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import tenacity

from b2chat_pipeline.b2chat.retry_after import moment_to_retry
from b2chat_pipeline.settings import ModelService, OperatorError

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import ModelInfo

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_RETRIED = frozenset({408, 409, 429})
_STOPPING = frozenset({401, 402, 403, 404})
_STOPPING_TYPES = frozenset({"authentication_error", "billing_error", "permission_error"})
_STOPPING_CODES = ("spend_limit_reached", "organization_on_hold", "billing_unavailable")


class ServiceSettingsError(OperatorError):
    """The service cannot be asked as it is set up."""


class ServiceStoppedError(OperatorError):
    """The service answers nobody for now: no further call makes sense. The call that met it cost nothing."""


class CallFailedError(Exception):
    """One call brought no answer. The text says why; `unanswered` counts attempts that may have been billed; where it
    `is_final`, the same call would be refused again.
    """

    def __init__(self, reason: str, *, unanswered: int = 0, is_final: bool = False) -> None:
        super().__init__(reason)
        self.unanswered = unanswered
        self.is_final = is_final


class AgainError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


@dataclass(frozen=True)
class Patience:
    """How patient one call is. Everything but the count is in seconds."""

    attempts: int = 5
    # Waits are drawn from 0..first_wait, then twice that, up to 0..longest_wait (full jitter).
    first_wait: float = 1.0
    longest_wait: float = 30.0
    # The longest pause asked for by the service that a call sits out.
    longest_pause: float = 120.0
    # One attempt from sending to the whole answer.
    attempt_timeout: float = 180.0


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True)
class Reply:
    """An answer as received. `unanswered` counts attempts before it whose answer never came."""

    body: bytes = field(repr=False)
    request_id: str | None
    unanswered: int


class Service:
    """A connection to the model's service, for several threads. Raises ServiceSettingsError for an unsafe address."""

    def __init__(
        self, place: ModelService, *, patience: Patience = DEFAULT_PATIENCE, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = _client(place, patience)
        self._patience = patience
        self._sleep = sleep
        self._backoff = tenacity.wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, params: Mapping[str, Any]) -> Reply:
        """Have one conversation judged. Raises CallFailedError, and ServiceStoppedError where no call can succeed."""
        call = Call()

        def attempt() -> Reply:
            answer = self._client.messages.with_raw_response.create(**params)
            return Reply(answer.read(), answer.headers.get("request-id"), call.unanswered)

        return self._patiently(call, attempt)

    def model(self, name: str) -> "ModelInfo":
        """What the service says of a model. Raises CallFailedError and ServiceStoppedError."""
        return self._patiently(Call(), lambda: self._client.models.retrieve(name))

    def input_tokens(self, params: Mapping[str, Any]) -> int:
        """How many tokens the service would read; free. Raises CallFailedError and ServiceStoppedError."""
        counted = {name: told for name, told in params.items() if name != "max_tokens"}
        return self._patiently(Call(), lambda: self._client.messages.count_tokens(**counted)).input_tokens

    def _patiently(self, call: "Call", attempt: Callable[[], _Answer]) -> _Answer:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(AgainError),
            wait=self._wait,
            stop=self._is_over,
            before_sleep=_log_retry,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: _Answer = retrying(call.attempted, attempt)
        except (AgainError, CallFailedError) as error:
            raise CallFailedError(str(error), unanswered=call.unanswered) from None
        return answer

    def _wait(self, state: tenacity.RetryCallState) -> float:
        retry_at = _error(state).retry_at
        if retry_at is None:
            return self._backoff(state)
        return max(0.0, (retry_at - datetime.now(UTC)).total_seconds())

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        is_asked_to_wait_too_long = state.upcoming_sleep > self._patience.longest_pause
        return is_asked_to_wait_too_long or state.attempt_number >= self._patience.attempts


class Call:
    """The attempts of one call."""

    def __init__(self) -> None:
        self.unanswered = 0

    def attempted(self, attempt: Callable[[], _Answer]) -> _Answer:
        """One attempt, its errors told apart. Raises AgainError, CallFailedError and ServiceStoppedError."""
        import anthropic

        try:
            return attempt()
        except anthropic.APIStatusError as error:
            raise self.refused(error) from None
        except anthropic.APIConnectionError as error:
            is_sent = was_sent(error)
            self.unanswered += is_sent
            raise self.unheard(f"no answer came ({type(error.__cause__ or error).__name__})", is_sent=is_sent) from None

    def refused(self, error: "anthropic.APIStatusError") -> Exception:
        """What an answer with an error status means for the call."""
        return refusal(error)

    def unheard(self, told: str, *, is_sent: bool) -> Exception:  # noqa: ARG002 - other calls ask
        """What it means that no answer came to what may have been sent."""
        return AgainError(told)


def was_sent(error: "anthropic.APIConnectionError") -> bool:
    """Whether the service may have had the request, and worked on it."""
    import httpx2

    return not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)


def refusal(error: "anthropic.APIStatusError") -> Exception:
    """What an answer with an error status means. Its own text is not repeated: it may quote the request."""
    told = f"status {error.status_code} {error.error_code or error.type or ''}".strip()
    code = error.error_code or ""
    if error.status_code in _STOPPING or error.type in _STOPPING_TYPES or any(it in code for it in _STOPPING_CODES):
        return ServiceStoppedError(
            f"the model's service refuses to work ({told}): {_remedy(error)}, then run this again."
        )
    if error.status_code in _RETRIED or error.status_code >= 500:
        retry_at = moment_to_retry(error.response.headers.get("retry-after"), now=datetime.now(UTC))
        return AgainError(f"the service answered with {told}", retry_at=retry_at)
    return CallFailedError(f"the service refused the request with {told}")


def _remedy(error: "anthropic.APIStatusError") -> str:
    if error.status_code == 401:
        return "check ANTHROPIC_API_KEY"
    if error.status_code == 404:
        return "name a model in `scoring` of the configuration that the service knows, and check ANTHROPIC_BASE_URL"
    return "look into the limits and permissions of the organization in the service's console"


def _client(place: ModelService, patience: Patience) -> "anthropic.Anthropic":
    import anthropic

    is_plain = _is_plain(place.url)
    return anthropic.Anthropic(
        api_key=place.api_key,
        base_url=place.url,
        timeout=patience.attempt_timeout,
        max_retries=0,
        # Told here, so that no variable of the environment can put what people wrote into traces.
        open_telemetry={"traces": {"content_mode": "metadata_only"}},
        # Plain HTTP stays on this machine: a proxy named in the environment must not see it.
        http_client=anthropic.DefaultHttpxClient(trust_env=not is_plain, follow_redirects=False),
    )


def _is_plain(url: str) -> bool:
    """Whether an address is plain HTTP to this machine. Raises ServiceSettingsError where it leaves the machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return False
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return True
    raise ServiceSettingsError(
        "ANTHROPIC_BASE_URL must be an https:// address (or http:// to this machine), since what people wrote is sent"
        " there: correct it, or leave it out to use Anthropic's own."
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _error(state: tenacity.RetryCallState) -> AgainError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, AgainError):
        raise TypeError("only what may succeed next time is retried")
    return error


def _log_retry(state: tenacity.RetryCallState) -> None:
    logger.warning("scoring: %s; trying again in %.1f s", _error(state), state.upcoming_sleep)
