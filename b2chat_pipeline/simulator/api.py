"""The vendor's API as a function from request to answer.

Belongs here: endpoints, envelope, errors. Not here: sockets (`wire`, `server`).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

import msgspec

from b2chat_pipeline.simulator.clock import Clock
from b2chat_pipeline.simulator.faults import Fault, change_page, first_of, touches_page
from b2chat_pipeline.simulator.gate import RateLimit, TokenOffice
from b2chat_pipeline.simulator.listing import chat_refs, matching_chats, matching_contacts
from b2chat_pipeline.simulator.query import (
    BadParameter,
    ChatQuery,
    ContactQuery,
    chat_query,
    contact_query,
    merged_parameters,
)
from b2chat_pipeline.simulator.script import SIGNATURE_MARK
from b2chat_pipeline.simulator.state import chat_json, contact_record, epoch
from b2chat_pipeline.simulator.world import World

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer before anything happens to it on the way."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(status: int, content: object, **headers: str) -> Answer:
    """An answer with a JSON body; header names take `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body=msgspec.json.encode(content), headers=named)


class Api:
    """One account's API: world, clock, credentials and limits."""

    def __init__(self, world: World, *, clock: Clock, tokens: TokenOffice, limit: RateLimit) -> None:
        self._world = world
        self._clock = clock
        self._tokens = tokens
        self._limit = limit
        self._answers = 0
        self._endpoints: dict[tuple[str, str], Callable[[Request, tuple[Fault, ...]], Answer]] = {
            ("POST", "/oauth/token"): self._token,
            ("GET", "/chats/export"): self._guarded(self._chats),
            ("GET", "/contacts/export"): self._guarded(self._contacts),
            ("GET", "/health"): lambda _request, _due: json_answer(200, {"status": "UP"}),
        }

    def answer(self, request: Request, due: tuple[Fault, ...]) -> Answer:
        """What the account answers, changed by the due faults of its content."""
        if replaced := instead(due):
            return replaced
        endpoint = self._endpoints.get((request.method, request.path))
        if endpoint is not None:
            return endpoint(request, due)
        if any(path == request.path for _, path in self._endpoints):
            return json_answer(405, {"message": f"{request.method} is not supported"})
        return json_answer(404, {"message": "Not found"})

    def _token(self, request: Request, _due: tuple[Fault, ...]) -> Answer:
        if not self._tokens.knows(request.headers.get("authorization", "")):
            return _oauth_error(401, "invalid_client", "Bad client credentials")
        if _grant_type(request) != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "Unsupported grant type")
        now = self._clock.now()
        token = self._tokens.token(now)
        left = int((token.expires_at - now).total_seconds())
        return json_answer(
            200, {"access_token": token.value, "token_type": "bearer", "expires_in": left, "scope": "all"}
        )

    def _guarded(
        self, endpoint: Callable[[Mapping[str, object], tuple[Fault, ...]], Answer]
    ) -> Callable[[Request, tuple[Fault, ...]], Answer]:
        def guarded(request: Request, due: tuple[Fault, ...]) -> Answer:
            now = self._clock.now()
            wait = self._limit.refuse_for(self._world.local(epoch(now)))
            if wait is not None:
                return json_answer(429, {"message": "Too many requests"}, Retry_After=str(wait))
            if not self._tokens.accepts(request.headers.get("authorization", ""), now):
                return _oauth_error(401, "invalid_token", "Invalid or expired access token")
            try:
                return endpoint(merged_parameters(request.query, request.body), due)
            except BadParameter as error:
                return json_answer(422, {"error": str(error)})

        return guarded

    def _chats(self, given: Mapping[str, object], due: tuple[Fault, ...]) -> Answer:
        query, now = chat_query(given), epoch(self._clock.now())
        if query.by_mail:
            return json_answer(200, {"message": "The export will be sent by e-mail"})
        spans = matching_chats(self._world, query, now)
        refs = chat_refs(spans, descending=query.descending)
        total = sum(len(span.indexes) for span in spans)
        if hidden := _hidden(due):
            kept = [ref for at, ref in enumerate(refs) if hidden.isdisjoint((at, self._world.chat(*ref).chat_id))]
            refs, total = iter(kept), len(kept)
        told = islice(refs, *_extent(query, due))
        page = [msgspec.Raw(chat_json(self._world, *ref, now)) for ref in told]
        return self._page("chats", page, total, due)

    def _contacts(self, given: Mapping[str, object], due: tuple[Fault, ...]) -> Answer:
        query, now = contact_query(given), epoch(self._clock.now())
        hidden, found = _hidden(due), matching_contacts(self._world, query, now)
        found = [it for at, it in enumerate(found) if hidden.isdisjoint((at, str(it.contact_id)))]
        shown = {"with_attributes": not query.skip_custom_attributes, "with_tags": not query.skip_tags}
        page = [contact_record(self._world, it, now, **shown) for it in islice(found, *_extent(query, due))]
        return self._page("contacts", page, len(found), due)

    def _page(self, key: str, records: list[Any], total: int, due: tuple[Fault, ...]) -> Answer:
        if first_of(due, "unordered"):
            records.reverse()
        told = f"{len(records)} {key} were exported"
        envelope = {key: records, "exported": len(records), "message": told, "total": total}
        self._answers += 1
        signature = hashlib.sha256(f"{self._world.seed}/{self._answers}".encode()).hexdigest()
        body = msgspec.json.encode(envelope).replace(SIGNATURE_MARK.encode(), signature.encode())
        if touches_page(due):
            page: dict[str, Any] = msgspec.json.decode(body)
            change_page(page, key, due)
            body = msgspec.json.encode(page)
        return Answer(status=200, body=body)


def _extent(query: ChatQuery | ContactQuery, due: tuple[Fault, ...]) -> tuple[int, int]:
    """From which place of the listing to which one a page goes."""
    offset = 0 if first_of(due, "same_page") else query.offset
    cap = first_of(due, "page_cap")
    return offset, offset + (query.limit if cap is None else min(query.limit, cap.value))


def _hidden(due: tuple[Fault, ...]) -> set[int | str]:
    """Positions and ids of the records that the listing shall lack."""
    return {fault.record_id or fault.index or 0 for fault in due if fault.kind == "hidden_record"}


def instead(due: tuple[Fault, ...]) -> Answer | None:
    """What a due fault puts in the place of the answer."""
    fault = first_of(due, "status", "unauthorized", "html", "error_message", "empty_body")
    if fault is None:
        return None
    if fault.kind == "status":
        body = fault.body if fault.body is not None else '{"message":"error"}'
        return Answer(status=fault.status, body=body.encode(), headers=fault.headers)
    if fault.kind == "unauthorized":
        return _oauth_error(401, "invalid_token", "Invalid or expired access token")
    if fault.kind == "html":
        page = b"<!DOCTYPE html><html><body><h1>Service temporarily unavailable</h1></body></html>"
        return Answer(status=200, body=page, content_type="text/html; charset=utf-8")
    return json_answer(200, {"message": "error"}) if fault.kind == "error_message" else Answer(status=200, body=b"")


def _oauth_error(status: int, error: str, description: str) -> Answer:
    return json_answer(status, {"error": error, "error_description": description})


def _grant_type(request: Request) -> str | None:
    """The grant type of either form: in the query string, or in a form body."""
    if "grant_type" in request.query:
        return request.query["grant_type"]
    return parse_qs(request.body.decode("latin-1")).get("grant_type", [None])[0]
