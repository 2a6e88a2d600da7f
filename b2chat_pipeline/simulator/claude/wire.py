"""The shapes in which Claude's API tells errors and numbers its objects.

Belongs here: what every endpoint shares. Not here: what an endpoint answers (`api`, `messages`, `batches`).
"""

import secrets
from collections.abc import Mapping

from b2chat_pipeline.simulator.api import Answer, json_answer

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Refused(Exception):  # noqa: N818 - it is an answer, not an accident
    """A request that gets an error for an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def error(self) -> dict[str, object]:
        """The error object, as an answer and a batch's result hold it."""
        return error_object(self.status, self.message)


def error_object(status: int, message: str, details: object = None) -> dict[str, object]:
    """The error of a status, with its machine-readable `details` where there are any."""
    error: dict[str, object] = {"type": _ERROR_TYPES.get(status, "api_error"), "message": message}
    return error if details is None else {**error, "details": details}


def error_answer(status: int, error: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    """An error answer, which names its request as the service's do."""
    request_id = new_id("req")
    answer = json_answer(status, {"type": "error", "error": error, "request_id": request_id})
    return Answer(status=status, body=answer.body, headers={"request-id": request_id, **(headers or {})})


def new_id(kind: str) -> str:
    """An id that no other process of the simulator gives either: those who ask keep ids in their books."""
    return f"{kind}_sim{secrets.token_hex(10)}"
