"""Claude's API as a function from request to answer: messages, their tokens, models and message batches.

Belongs here: paths, keys, paging. Not here: what an answer says (`messages`, `models`, `batches`), sockets.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from b2chat_pipeline.simulator.api import Answer, Request, instead, json_answer
from b2chat_pipeline.simulator.claude.batches import Batches
from b2chat_pipeline.simulator.claude.messages import answer_message, count_tokens
from b2chat_pipeline.simulator.claude.models import NAME, model_info
from b2chat_pipeline.simulator.claude.wire import Refused, error_answer, error_object, new_id
from b2chat_pipeline.simulator.clock import Clock
from b2chat_pipeline.simulator.faults import Fault, changed_object, first_of

PREFIX = "/v1/"
Record = dict[str, Any]
_BATCHES = "/v1/messages/batches"
_Endpoint = Callable[[Request, tuple[Fault, ...], str], Record | Answer]


class ClaudeApi:
    """The API for one account, whose one model is the simulated judge."""

    def __init__(self, *, clock: Clock, api_key: str) -> None:
        self._clock = clock
        self._api_key = api_key
        self._batches = Batches()
        # The group is the id that the endpoint is asked about.
        self._endpoints: tuple[tuple[str, re.Pattern[str], _Endpoint], ...] = (
            ("POST", re.compile("/v1/messages()"), self._message),
            ("POST", re.compile("/v1/messages/count_tokens()"), self._tokens),
            ("GET", re.compile("/v1/models()"), self._models),
            ("GET", re.compile("/v1/models/([^/]+)"), self._model),
            ("POST", re.compile(f"{_BATCHES}()"), self._create_batch),
            ("GET", re.compile(f"{_BATCHES}()"), self._list_batches),
            ("GET", re.compile(f"{_BATCHES}/([^/]+)"), self._batch),
            ("DELETE", re.compile(f"{_BATCHES}/([^/]+)"), self._delete_batch),
            ("GET", re.compile(f"{_BATCHES}/([^/]+)/results"), self._results),
            ("POST", re.compile(f"{_BATCHES}/([^/]+)/cancel"), self._cancel_batch),
        )

    def answer(self, request: Request, due: tuple[Fault, ...]) -> Answer:
        """What the service answers, changed by the due faults of its content."""
        if replaced := _instead(due):
            return replaced
        try:
            self._check_headers(request)
            content = self._content(request, due)
        except Refused as refused:
            return error_answer(refused.status, refused.error)
        if isinstance(content, Answer):
            return content
        return json_answer(200, changed_object(content, due), request_id=new_id("req"))

    def _check_headers(self, request: Request) -> None:
        authorization = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.headers.get("x-api-key", authorization) != self._api_key:
            raise Refused(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise Refused(400, "anthropic-version: header is required")

    def _content(self, request: Request, due: tuple[Fault, ...]) -> Record | Answer:
        found = [(method, path.fullmatch(request.path), it) for method, path, it in self._endpoints]
        matching = [(method, match[1], it) for method, match, it in found if match]
        for method, asked_about, endpoint in matching:
            if method == request.method:
                return endpoint(request, due, asked_about)
        raise Refused(405 if matching else 404, f"{request.method} {request.path} is not supported")

    def _message(self, request: Request, due: tuple[Fault, ...], _id: str) -> Record:
        return answer_message(_body(request), due, "standard")

    def _tokens(self, request: Request, _due: tuple[Fault, ...], _id: str) -> Record:
        return {"input_tokens": count_tokens(_body(request))}

    def _models(self, request: Request, _due: tuple[Fault, ...], _id: str) -> Record:
        return _page(request, [NAME], lambda _name: model_info())

    def _model(self, _request: Request, _due: tuple[Fault, ...], name: str) -> Record:
        if name != NAME:
            raise Refused(404, f"model: {name}")
        return model_info()

    def _create_batch(self, request: Request, due: tuple[Fault, ...], _id: str) -> Record:
        batch = self._batches.create(_body(request), self._clock.now(), due)
        return self._described(request, batch.id)

    def _list_batches(self, request: Request, _due: tuple[Fault, ...], _id: str) -> Record:
        return _page(request, self._batches.newest_first(), lambda batch_id: self._described(request, batch_id))

    def _batch(self, request: Request, _due: tuple[Fault, ...], batch_id: str) -> Record:
        return self._described(request, batch_id)

    def _cancel_batch(self, request: Request, _due: tuple[Fault, ...], batch_id: str) -> Record:
        self._batches.cancel(batch_id, self._clock.now())
        return self._described(request, batch_id)

    def _delete_batch(self, _request: Request, _due: tuple[Fault, ...], batch_id: str) -> Record:
        self._batches.delete(batch_id, self._clock.now())
        return {"id": batch_id, "type": "message_batch_deleted"}

    def _results(self, _request: Request, _due: tuple[Fault, ...], batch_id: str) -> Answer:
        batch, now = self._batches.get(batch_id), self._clock.now()
        if not batch.has_ended(now) or now >= batch.archived_at:
            raise Refused(404, f"Batch {batch_id} has no available results.")
        headers = {"request-id": new_id("req")}
        return Answer(status=200, body=batch.results(), content_type="application/x-jsonl", headers=headers)

    def _described(self, request: Request, batch_id: str) -> Record:
        results = f"http://{request.headers['host']}{_BATCHES}/{batch_id}/results"
        return self._batches.get(batch_id).described(self._clock.now(), results_url=results)


def _instead(due: tuple[Fault, ...]) -> Answer | None:
    """What a due fault puts in the place of the answer: as B2Chat's, but errors in the shape of this service."""
    fault = first_of(due, "status", "unauthorized")
    if fault is None:
        return instead(due)
    if fault.kind == "unauthorized":
        return error_answer(401, error_object(401, "invalid x-api-key"))
    if fault.body is not None:
        return instead(due)
    error = error_object(fault.status, "The simulator was told to answer so.", details=fault.value)
    return error_answer(fault.status, error, fault.headers)


def _body(request: Request) -> Record:
    try:
        return msgspec.json.decode(request.body, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"The request body is not a JSON object: {error}") from None


def _page(request: Request, ids: Sequence[str], describe: Callable[[str], Record]) -> Record:
    """A page of a list, in the list's order: after or before the object that the query names."""
    limit, query = _limit(request), request.query
    if "before_id" in query:
        ids = ids[: _place(ids, query["before_id"])]
        page, left = ids[-limit:], ids[:-limit]
    else:
        ids = ids[_place(ids, query["after_id"]) + 1 :] if "after_id" in query else ids
        page, left = ids[:limit], ids[limit:]
    first, last = (page[0], page[-1]) if page else (None, None)
    return {"data": [describe(it) for it in page], "has_more": bool(left), "first_id": first, "last_id": last}


def _limit(request: Request) -> int:
    limit = request.query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise Refused(400, "limit: Input should be from 1 to 1000")
    return int(limit)


def _place(ids: Sequence[str], name: str) -> int:
    if name not in ids:
        raise Refused(400, f"{name} is not in the list")
    return ids.index(name)
