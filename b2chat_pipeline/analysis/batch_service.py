"""The model's service, asked for many calls at once: message batches, created, looked up and read.

Here belongs what the endpoints of batches answer, and what their errors mean. Not here: single calls, and the SDK's
errors (`service.py`); what is in a batch (`submitting.py`), what its results are worth (`collecting.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from b2chat_pipeline.analysis.service import Call, CallFailedError, Service

if TYPE_CHECKING:
    import anthropic

_PATH = "/v1/messages/batches"
# Batches that one page of the list holds.
_PAGE = 100
# Errors of an item that the same item would meet again.
_FINAL = frozenset({"invalid_request_error", "request_too_large"})
_NOT_FOUND, _OF_SERVER, _OVERLOADED = 404, 500, 529
# What a server may say that has done what it was asked for; one that is overloaded has not.
_MAYBE_DONE = frozenset({408, 409})
_Told = TypeVar("_Told")


class CreationLostError(Exception):
    """A batch was asked for and no answer came: whether it exists is not known."""


class BatchInfo(msgspec.Struct, frozen=True):
    """A batch as the service tells it."""

    id: str
    processing_status: str
    created_at: datetime
    request_counts: Mapping[str, int]
    results_url: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.processing_status == "ended"

    @property
    def requests(self) -> int:
        """How many requests are in it."""
        return sum(self.request_counts.values())


class _Page(msgspec.Struct, frozen=True):
    data: Sequence[BatchInfo]
    has_more: bool
    last_id: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str


class _ErrorAnswer(msgspec.Struct, frozen=True):
    error: _Error


class _Outcome(msgspec.Struct, frozen=True):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"")
    error: _ErrorAnswer | None = None


class ItemResult(msgspec.Struct, frozen=True):
    """What became of one item: by our own id of it."""

    custom_id: str
    result: _Outcome

    def message(self) -> bytes:
        """The answer as received. Raises CallFailedError where there is none: that item cost nothing."""
        if self.result.type == "succeeded":
            return bytes(self.result.message)
        kind = "" if self.result.error is None else self.result.error.error.type
        reason = f"the batch's item {self.result.type} {kind}".strip()
        raise CallFailedError(reason, is_final=kind in _FINAL)


class BatchService(Service):
    """A connection to the model's service that can ask for batches."""

    def create(self, requests: Sequence[bytes]) -> BatchInfo:
        """Have requests, each in JSON, worked off together. Never asks twice for what may exist.

        Raises CreationLostError; CallFailedError and ServiceStoppedError where there is no batch.
        """
        import httpx2

        body = [b'{"requests":[', *_separated(requests), b"]}"]
        headers = {"Content-Type": "application/json", "Content-Length": str(sum(map(len, body)))}

        def attempt() -> bytes:
            answer = self._client.post(_PATH, cast_to=httpx2.Response, content=body, options={"headers": headers})
            return answer.content

        try:
            return _decoded(self._patiently(_Creation(), attempt), BatchInfo)
        except CallFailedError as error:
            if error.unanswered:
                raise CreationLostError(str(error)) from None
            raise

    def batch(self, batch_id: str) -> BatchInfo | None:
        """A batch as it is now; None where the service does not know it.

        Raises CallFailedError and ServiceStoppedError.
        """
        batches = self._client.messages.batches.with_raw_response
        try:
            body = self._patiently(_LookUp(), lambda: batches.retrieve(batch_id).read())
        except _MissingError:
            return None
        return _decoded(body, BatchInfo)

    def newest_first(self) -> Iterator[BatchInfo]:
        """All batches of the account. Raises CallFailedError and ServiceStoppedError."""
        page = self._page(after=None)
        yield from page.data
        while page.has_more and page.last_id is not None:
            page = self._page(after=page.last_id)
            yield from page.data

    def _page(self, *, after: str | None) -> _Page:
        import anthropic

        batches = self._client.messages.batches.with_raw_response
        after_id = anthropic.omit if after is None else after
        return _decoded(self._patiently(Call(), lambda: batches.list(limit=_PAGE, after_id=after_id).read()), _Page)

    def results(self, batch_id: str) -> Iterator[ItemResult] | None:
        """The results of an ended batch as they come, in any order; None where they are gone.

        Raises CallFailedError, also on the way, and ServiceStoppedError.
        """
        info = self.batch(batch_id)
        if info is None or info.results_url is None:
            return None
        return self._results(batch_id)

    def _results(self, batch_id: str) -> Iterator[ItemResult]:
        import httpx2

        streaming = self._client.messages.batches.with_streaming_response
        with ExitStack() as stack:
            answer = self._patiently(Call(), lambda: stack.enter_context(streaming.results(batch_id)))
            try:
                for line in lines_of(answer.iter_bytes()):
                    yield _decoded(line, ItemResult)
            except httpx2.HTTPError as error:
                raise CallFailedError(f"the results broke off ({type(error).__name__})") from None


class _MissingError(Exception):
    """The service does not know what it was asked about."""


class _LookUp(Call):
    """The attempts to look up what may not exist."""

    def refused(self, error: "anthropic.APIStatusError") -> Exception:
        """_MissingError where it does not."""
        return _MissingError() if error.status_code == _NOT_FOUND else super().refused(error)


class _Creation(Call):
    """The attempts to create one batch: only what certainly created none is tried again."""

    def refused(self, error: "anthropic.APIStatusError") -> Exception:
        """A CallFailedError where there may be a batch, which counts as unanswered; else what `refusal` says."""
        if error.status_code in _MAYBE_DONE or (error.status_code >= _OF_SERVER and error.status_code != _OVERLOADED):
            self.unanswered += 1
            return CallFailedError(f"the service answered with status {error.status_code}")
        return super().refused(error)

    def unheard(self, told: str, *, is_sent: bool) -> Exception:
        """The same where the request may have come."""
        return CallFailedError(told) if is_sent else super().unheard(told, is_sent=is_sent)


def _decoded(body: bytes, shape: type[_Told]) -> _Told:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise CallFailedError("the service's answer has another form than a batch's", unanswered=1) from None


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a stream. Texts hold other signs that end lines, but never this one."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
    if rest.strip():
        yield rest


def _separated(parts: Sequence[bytes]) -> Iterator[bytes]:
    for place, part in enumerate(parts):
        if place:
            yield b","
        yield part
