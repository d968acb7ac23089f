"""Calls an application by ASGI alone: bodies that no HTTP client would send, and no lifespan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec


class Answer(NamedTuple):
    """What came back, and how many pieces of the body the application took."""

    status: int
    headers: dict[str, str]
    body: bytes
    pieces_read: int

    def json(self) -> dict[str, Any]:
        """The body read as a JSON object."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded


async def call(
    app: Any,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    pieces: Iterable[bytes] = (),
) -> Answer:
    """Send one request whose body comes piece by piece, only as far as it is asked for."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    source = iter(pieces)
    read = 0
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal read
        piece = next(source, None)
        read += piece is not None
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    return Answer(
        status=start["status"],
        headers={k.decode().lower(): v.decode() for k, v in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent[1:]),
        pieces_read=read,
    )
