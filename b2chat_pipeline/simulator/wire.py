"""How an answer reaches the client: whole, slowly, cut, broken or not at all.

Belongs here: bytes on the socket. Not here: what they say (`api`).
"""

import contextlib
import socket
import struct
import threading
from http import HTTPStatus

from b2chat_pipeline.simulator.api import Answer
from b2chat_pipeline.simulator.faults import CodeFault, Fault, first_of


def deliver(connection: socket.socket, answer: Answer, due: tuple[Fault, ...], *, stopping: threading.Event) -> bool:
    """Send the answer the way the due faults say; returns whether the connection can serve another request."""
    if hang := first_of(due, "hang"):
        stopping.wait(hang.seconds)
    if first_of(due, "reset"):
        _reset(connection)
        return False
    body, encoding = _rewritten(answer.body, due), ""
    if first_of(due, "cut_json"):
        body = body[: len(body) // 2]
    if first_of(due, "broken_gzip"):
        # A gzip header that promises, and then no deflate data.
        body, encoding = b"\x1f\x8b\x08\x00" + body, "Content-Encoding: gzip\r\n"
    head = _head(answer, len(body), encoding)
    if first_of(due, "cut_body"):
        connection.sendall(head + body[: len(body) // 2])
        return False
    if drip := first_of(due, "drip"):
        connection.sendall(head)
        return _drip(connection, body, drip.bytes_per_second, stopping)
    connection.sendall(head + body)
    return True


def _rewritten(body: bytes, due: tuple[Fault, ...]) -> bytes:
    for fault in due:
        if isinstance(fault, CodeFault):
            body = fault.rewrite(body)
    return body


def _head(answer: Answer, length: int, encoding: str) -> bytes:
    phrase = HTTPStatus(answer.status).phrase if answer.status in HTTPStatus._value2member_map_ else "Unknown"
    more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    lines = f"HTTP/1.1 {answer.status} {phrase}\r\nContent-Type: {answer.content_type}\r\nContent-Length: {length}\r\n"
    return f"{lines}{encoding}{more}\r\n".encode("latin-1")


def _drip(connection: socket.socket, body: bytes, bytes_per_second: float, stopping: threading.Event) -> bool:
    """At most twenty pieces a second, so that a fast drip costs no more than a slow one."""
    piece = max(1, int(bytes_per_second / 20))
    for start in range(0, len(body), piece):
        if stopping.wait(piece / bytes_per_second):
            return False
        connection.sendall(body[start : start + piece])
    return True


def _reset(connection: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
