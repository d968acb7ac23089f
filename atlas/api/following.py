"""Serves one state of the bundle at a time, and goes over to the next without dropping a request.

A request holds the state that it began with until it is answered; a state that was left is closed
when nobody holds it any more. Belongs to one event loop; files are read in threads. Knows what a
manifest is, not what is served from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import structlog
from litestar.enums import ScopeType

from atlas.bundle.manifest import CURRENT, Manifest, read_current, read_manifest
from atlas.errors import AtlasError
from atlas.telemetry import Metrics

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

SERVED = "served"


class Served(Protocol):
    """What answers requests from one state of the bundle."""

    @property
    def manifest(self) -> Manifest:
        """The state that is served."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Take requests while the block runs, and close at its end."""


ServedT = TypeVar("ServedT", bound=Served)


class Mark(NamedTuple):
    """The pointer file as it lay there; another mark is a reason to read it."""

    inode: int
    modified_ns: int


class Held(Generic[ServedT]):
    """A state and the number of requests that hold it."""

    def __init__(self, served: ServedT) -> None:
        self.served = served
        self._running = served.running()
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begin to take requests."""
        await self._running.__aenter__()

    @contextmanager
    def held(self) -> Iterator[ServedT]:
        """Hold the state while the block runs."""
        self._requests += 1
        self._idle.clear()
        try:
            yield self.served
        finally:
            self._requests -= 1
            if self._requests == 0:
                self._idle.set()

    async def close(self) -> None:
        """Close the state when the last request has let go of it."""
        await self._idle.wait()
        await self._running.__aexit__(None, None, None)


class Following(Generic[ServedT]):
    """Follows the pointer of the bundle below `root`.

    `reopen` opens and verifies the state that the pointer names now; it is given the live one and
    runs in a thread. Every `poll_s` seconds the pointer is looked at, never if that is 0.
    """

    def __init__(
        self,
        first: ServedT,
        reopen: Callable[[ServedT], ServedT],
        *,
        root: Path,
        poll_s: float,
        metrics: Metrics,
    ) -> None:
        self._live = Held(first)
        self._reopen = reopen
        self._root = root
        self._poll_s = poll_s
        self._metrics = metrics
        self._seen: Mark | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._logger = structlog.stdlib.get_logger("atlas.following")
        self.refused: str | None = None

    @property
    def live(self) -> ServedT:
        """What the next request will be answered from."""
        return self._live.served

    def held(self) -> AbstractContextManager[ServedT]:
        """Hold the live state for one request."""
        return self._live.held()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve and follow while the block runs; at its end close all that is open."""
        await self._live.start()
        watch = asyncio.create_task(self._watch()) if self._poll_s else None
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
            await asyncio.gather(*self._leaving)
            await self._live.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self.look()

    async def look(self) -> None:
        """Go over to what the pointer names, if that is something else and can be served.

        What was refused is tried again when the pointer is written again.
        """
        named = CURRENT
        try:
            mark = await asyncio.to_thread(_mark, self._root)
            if mark == self._seen:
                return
            self._seen = mark
            path = await asyncio.to_thread(read_current, self._root)
            named = path.name
            if await asyncio.to_thread(read_manifest, path) == self.live.manifest:
                self.refused = None
                return
            await self._go_over(await asyncio.to_thread(self._reopen, self.live))
        except AtlasError as error:
            self._refuse(named, str(error))
        except Exception as error:
            # Whatever is wrong with the next state, this one is served on.
            self._logger.exception("bundle cannot be opened")
            self._refuse(named, type(error).__name__)

    def _refuse(self, named: str, problem: str) -> None:
        """Go on with the live state and say why."""
        self.refused = named
        self._metrics.bundle_followed("refused")
        self._logger.error(
            "bundle refused, the one before is served on",
            refused=named,
            problem=problem,
            served=self.live.manifest.number,
        )

    async def _go_over(self, fresh: ServedT) -> None:
        following, left = Held(fresh), self._live
        await following.start()
        # From here on every new request holds the fresh state: one assignment, on one thread.
        self._live = following
        self.refused = None
        self._metrics.bundle_followed("served")
        self._logger.info(
            "bundle followed", bundle=fresh.manifest.number, before=left.served.manifest.number
        )
        closing = asyncio.create_task(left.close())
        self._leaving.add(closing)
        closing.add_done_callback(self._leaving.discard)


class HoldingRequests:
    """ASGI layer: a request holds the live state, as `scope["state"]["served"]`, to its end."""

    def __init__(self, app: ASGIApp, following: Following[ServedT]) -> None:
        self._app = app
        self._following = following

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of scope pass through."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        with self._following.held() as served:
            scope["state"][SERVED] = served
            await self._app(scope, receive, send)


def _mark(root: Path) -> Mark | None:
    try:
        stat = (root / CURRENT).stat()
    except FileNotFoundError:
        return None
    return Mark(stat.st_ino, stat.st_mtime_ns)
