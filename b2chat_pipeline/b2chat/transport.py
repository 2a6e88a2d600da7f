"""One HTTP exchange with the API: a request goes out, a status and a whole body come back, or a typed error.

Here belong the connection, its time-outs and what its failures are called. Not here: tokens, the request budget and
retries (`client.py`), or what a page contains (`decoding.py`).
"""

import contextlib
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from b2chat_pipeline.b2chat.body import unzipped
from b2chat_pipeline.b2chat.deadline import Deadline
from b2chat_pipeline.b2chat.errors import Attempted, PermanentError, RequestTimeout, TransientError
from b2chat_pipeline.b2chat.limits import RetryPolicy
from b2chat_pipeline.b2chat.retry_after import moment_to_retry

logger = logging.getLogger(__name__)

_BY_CAUSE: tuple[tuple[type[BaseException], str, str], ...] = (
    (socket.gaierror, "the host name was not resolved", "check the API URL and this machine's DNS"),
    (
        ssl.SSLError,
        "TLS could not be agreed on",
        "check the API URL, the trusted certificates and this clock",
    ),
    (ConnectionRefusedError, "the connection was refused", "check the API URL and that the service is up"),
    (httpx.ConnectTimeout, "no connection came about in time", "check the API URL and this machine's network"),
    (httpx.ProxyError, "the proxy did not connect", "check the proxy named in this machine's environment"),
)


@dataclass(frozen=True)
class Reply:
    """An answer, unzipped; its body is read for status 200 only. Moments are UTC, `seconds` is how long it took."""

    status: int
    body: bytes = field(repr=False)
    retry_at: datetime | None
    requested_at: datetime
    seconds: float


class Transport:
    """One reused connection to the API, for one thread at a time. Raises PermanentError for an unsafe URL."""

    def __init__(self, base_url: str, policy: RetryPolicy, *, clock: Callable[[], datetime]) -> None:
        url = _checked(base_url)
        self._clock = clock
        self._deadline = Deadline()
        self._http = httpx.Client(
            base_url=url,
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "b2chat-pipeline"},
            timeout=httpx.Timeout(policy.read_timeout, connect=policy.connect_timeout),
            limits=httpx.Limits(max_connections=1),
            follow_redirects=False,
            # Plain HTTP stays on this machine: a proxy named in the environment must not see it, and trusted
            # certificates, which take 50 ms to load, are of no use.
            trust_env=url.scheme == "https",
            verify=url.scheme != "http" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, params: Mapping[str, str | int], *, token: str, seconds: float, attempted: Attempted) -> Reply:
        """Ask for one page, for at most `seconds` in all. Raises TransientError."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = self._http.build_request("GET", attempted["endpoint"], params=dict(params), headers=headers)
        return self._exchange(request, auth=None, seconds=seconds, attempted=attempted)

    def post_form(
        self, form: Mapping[str, str], *, auth: httpx.BasicAuth, seconds: float, attempted: Attempted
    ) -> Reply:
        """Send a form with HTTP Basic authentication, for at most `seconds` in all. Raises TransientError."""
        request = self._http.build_request("POST", attempted["endpoint"], data=dict(form))
        return self._exchange(request, auth=auth, seconds=seconds, attempted=attempted)

    def _exchange(
        self, request: httpx.Request, *, auth: httpx.BasicAuth | None, seconds: float, attempted: Attempted
    ) -> Reply:
        request.extensions["trace"] = self._deadline.trace
        requested_at, started = self._clock(), time.monotonic()
        with self._typed_errors(seconds, attempted), self._deadline.limit(seconds):
            response = self._http.send(request, auth=auth, stream=True)
            with contextlib.closing(response):
                raw = b"".join(response.iter_raw()) if response.status_code == 200 else b""
        elapsed = time.monotonic() - started
        logger.debug("%s: status %d in %.3f s", _subject(attempted), response.status_code, elapsed)
        return Reply(
            status=response.status_code,
            body=unzipped(raw, response.headers.get("Content-Encoding", ""), **attempted),
            retry_at=moment_to_retry(response.headers.get("Retry-After"), now=self._clock()),
            requested_at=requested_at,
            seconds=elapsed,
        )

    @contextlib.contextmanager
    def _typed_errors(self, seconds: float, attempted: Attempted) -> Iterator[None]:
        broken: httpx.TransportError | None = None
        try:
            yield
        except httpx.TransportError as error:
            broken = error
        # Looked at even without an error: an answer without a length seems to end well when it is cut.
        if self._deadline.passed:
            raise RequestTimeout(f"the answer was not complete after {seconds:.1f} s", **attempted) from broken
        if isinstance(broken, httpx.ReadTimeout):
            raise RequestTimeout("the answer fell silent", **attempted) from broken
        if broken is not None:
            raise _connection_error(broken, attempted) from broken


def _subject(attempted: Attempted) -> str:
    return f"{attempted['method']} {attempted['endpoint']} ({attempted['attempt']})"


def _connection_error(error: httpx.TransportError, attempted: Attempted) -> TransientError:
    causes = list(_causes(error))
    for kind, problem, next_step in _BY_CAUSE:
        if any(isinstance(cause, kind) for cause in causes):
            return TransientError(problem, next_step=next_step, **attempted)
    return TransientError("the connection broke before the answer was complete", **attempted)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _checked(base_url: str) -> httpx.URL:
    """The API's URL, if secrets may be sent to it."""
    try:
        url = httpx.URL(base_url)
        url.raw_host.decode("ascii").encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise PermanentError("the API URL is no URL", next_step="correct it, then run again") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise PermanentError(
            "the API URL is not of the form https://host or https://host/path", next_step="correct it, then run again"
        )
    if url.scheme == "http" and not _is_loopback(url.host):
        raise PermanentError(
            "the API URL is plain http:// to another machine, so the credentials would travel in clear",
            next_step="use its https:// address, then run again",
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
