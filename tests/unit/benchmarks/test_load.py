"""The HTTP load: every target is asked once, what fails is counted, and it ends in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import LOOPBACK, run_load

Answer = Callable[[str], bytes | None]


def response(status: int, body: bytes = b"", *, close: bool = False) -> bytes:
    """A whole HTTP answer."""
    fields = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n"
    return (fields + ("Connection: close\r\n" if close else "") + "\r\n").encode() + body


@asynccontextmanager
async def server(answer: Answer, seen: list[str], pause_s: float = 0.0) -> AsyncIterator[int]:
    """The port of a server that answers each target by `answer`; None hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await reader.readuntil(b"\r\n\r\n")
                target = line.split()[1].decode()
                seen.append(target)
                await asyncio.sleep(pause_s)
                if (content := answer(target)) is None:
                    break
                writer.write(content)
                if b"Connection: close" in content:
                    break
        finally:
            writer.close()
            await writer.wait_closed()

    running = await asyncio.start_server(serve, LOOPBACK, 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


@pytest.mark.parametrize("clients", [1, 7])
async def test_every_target_is_asked_once(clients: int) -> None:
    """A target asked twice would come from a cache, one left out would not be measured."""
    seen: list[str] = []
    targets = [f"/q?text={number}" for number in range(40)]
    async with server(lambda target: response(200, target.encode()), seen) as port:
        load = await run_load(port, targets, clients=clients, seconds=10)
    assert sorted(seen) == sorted(targets)
    assert sorted(body.decode() for body in load.bodies) == sorted(targets)
    assert len(load.times_ms) == 40
    assert not load.errors
    assert load.answered_per_s == pytest.approx(40 / load.duration_s)


async def test_refusals_and_lost_connections_are_errors() -> None:
    """An overloaded server that answers 503 at once must not look like a fast one."""
    answers = {"/a": response(200), "/b": response(503), "/c": None, "/d": response(200)}
    async with server(answers.__getitem__, []) as port:
        load = await run_load(port, list(answers), clients=1, seconds=10)
    assert load.errors == {"503": 1, "IncompleteReadError": 1}
    assert len(load.times_ms) == 2


async def test_a_closed_connection_is_opened_again() -> None:
    """A server that ends keep-alive would otherwise turn every second request into an error."""
    async with server(lambda _target: response(200, close=True), []) as port:
        load = await run_load(port, ["/a", "/b", "/c"], clients=1, seconds=10)
    assert (len(load.times_ms), load.errors.total()) == (3, 0)


async def test_nobody_listening_is_an_error() -> None:
    """A load on a server that is not there must end, with the errors counted."""
    async with server(lambda _target: response(200), []) as port:
        pass
    load = await run_load(port, ["/a", "/b"], clients=2, seconds=10)
    assert load.errors == {"ConnectionRefusedError": 2}
    assert load.answered_per_s == 0


async def test_a_load_ends_when_its_time_is_up() -> None:
    """A slow server must not hold a benchmark for hours."""
    started_s = time.perf_counter()
    seen: list[str] = []
    async with server(lambda _target: response(200), seen, pause_s=0.02) as port:
        load = await run_load(port, ["/slow"] * 1000, clients=2, seconds=0.2)
    assert time.perf_counter() - started_s < 5
    assert 1 <= len(load.times_ms) < 1000


async def test_an_answer_that_does_not_come_is_an_error() -> None:
    """A server that hangs must be seen as one."""
    async with server(lambda _target: response(200), [], pause_s=0.5) as port:
        load = await run_load(port, ["/hang"], clients=1, seconds=5, timeout_s=0.05)
        await asyncio.sleep(0.6)
    assert load.errors == {"TimeoutError": 1}
