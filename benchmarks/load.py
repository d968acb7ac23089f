"""A load of HTTP GET requests: many clients, each on its own connection, one request at a time.

Plain asyncio: a client that costs little, on a machine that the server shares. Reads only what
this project's server sends (HTTP/1.1 with Content-Length). Loopback only.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LOOPBACK = "127.0.0.1"


class Reply(NamedTuple):
    """Status and body; 0 and the reason where no answer came."""

    status: int
    body: bytes


class Load(NamedTuple):
    """What came back: milliseconds of each 200, bodies of the same, errors by status, seconds."""

    times_ms: list[float]
    bodies: list[bytes]
    errors: Counter[str]
    duration_s: float

    @property
    def answered_per_s(self) -> float:
        """Requests answered with 200 in a second."""
        return len(self.times_ms) / self.duration_s if self.duration_s else 0.0


class _Connection:
    """One keep-alive connection, opened when it is first needed and again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(LOOPBACK, self._port)
        reader, writer = self._streams
        request = f"GET {target} HTTP/1.1\r\nHost: {LOOPBACK}:{self._port}\r\n\r\n"
        writer.write(request.encode("ascii"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(":", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection", "").strip() == "close":
            await self.close()
        return Reply(int(head[0].split(" ")[1]), body)

    async def close(self) -> None:
        if self._streams is None:
            return
        writer = self._streams[1]
        self._streams = None
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            return  # the other side was faster


async def _client(
    port: int, targets: Iterator[str], until_s: float, timeout_s: float, load: Load
) -> None:
    """Ask one target after the other until there are no more, or time is up."""
    connection = _Connection(port)
    for target in targets:
        if time.perf_counter() >= until_s:
            break
        started_s = time.perf_counter()
        try:
            reply = await asyncio.wait_for(connection.get(target), timeout_s)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            load.errors[type(error).__name__] += 1
            await connection.close()
            continue
        if reply.status == 200:
            load.times_ms.append((time.perf_counter() - started_s) * 1e3)
            load.bodies.append(reply.body)
        else:
            load.errors[str(reply.status)] += 1
    await connection.close()


async def run_load(
    port: int, targets: Sequence[str], *, clients: int, seconds: float, timeout_s: float = 30.0
) -> Load:
    """Ask every target once, `clients` at a time, for at most `seconds`; order is kept.

    Targets are paths with a query, in ASCII. Answers other than 200 and broken connections are
    counted as errors, never timed.
    """
    load = Load([], [], Counter(), 0.0)
    waiting = iter(targets)
    started_s = time.perf_counter()
    until_s = started_s + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(port, waiting, until_s, timeout_s, load))
    return load._replace(duration_s=time.perf_counter() - started_s)
