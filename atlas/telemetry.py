"""Structured logs, request ids and Prometheus metrics.

Knows requests and numbers, not what a search is. Logs carry the listed fields only: never a body,
a query string or a header of the client. Safe from any thread.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TextIO

import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.plugins.prometheus import PrometheusConfig
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from atlas.errors import AtlasError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER = "X-Request-ID"
# What a client may put in a request id: enough for every tracing system, nothing that could
# forge a second log line or header.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROW_BUCKETS = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """One JSON object a line on `stream` (standard error), for our own logs and for uvicorn's."""
    stamps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*stamps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


class RequestLog:
    """Outermost ASGI layer: gives each request an id and writes one line when it is answered.

    It wraps the whole application because Litestar's own middleware is not run for a path that
    matches no route, and such requests must be logged too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._logger = structlog.stdlib.get_logger("atlas.request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of scope pass through."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        answered: dict[str, int] = {}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered["status"] = message["status"]
                MutableScopeHeaders(message).setdefault(REQUEST_ID_HEADER, request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._logger.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                route=scope.get("path_template", ""),
                status=answered.get("status", 0),
                took_ms=round((time.perf_counter() - started) * 1000, 2),
            )


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id the client sent where it is a plain word, else a new one."""
    wanted = REQUEST_ID_HEADER.lower().encode()
    for name, value in headers:
        text = value.decode("latin-1")
        if name.lower() == wanted and _REQUEST_ID.fullmatch(text):
            return text
    return uuid.uuid4().hex


async def log_unhandled(error: Exception, scope: Scope) -> None:
    """Litestar `after_exception` hook: the traceback of what the client sees as a plain 500.

    Errors that a client caused, or that the tree of `atlas.errors` foresees, are only counted.
    """
    foreseen = isinstance(error, AtlasError)
    if foreseen or (isinstance(error, HTTPException) and error.status_code < 500):
        return
    structlog.stdlib.get_logger("atlas.error").error(
        "unhandled error", path=scope["path"], exc_info=error
    )


class Metrics:
    """The atlas's own numbers, in a registry of their own so that several apps may share a process.

    Litestar's plugin counts requests in the default registry; `/metrics` shows both.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._batch = Histogram(
            "atlas_encode_batch_size",
            "Texts encoded in one batch",
            ("space",),
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
        self._encode = Histogram(
            "atlas_encode_seconds",
            "Time a query waited for its vector",
            ("space", "kind"),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._depth = Gauge(
            "atlas_queue_depth", "Work waiting, by queue", ("queue",), registry=self.registry
        )
        self._paths = Counter(
            "atlas_search_path", "Searches by the path that ran", ("path",), registry=self.registry
        )
        self._rows = Histogram(
            "atlas_rows_scored",
            "Rows scored by one search",
            buckets=_ROW_BUCKETS,
            registry=self.registry,
        )
        self._bundle = Gauge(
            "atlas_bundle_rows", "Rows of the bundle served", ("number",), registry=self.registry
        )
        self._followed = Counter(
            "atlas_bundle_followed",
            "New states of the bundle that were found, by what became of them",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("served", "refused"):
            self._followed.labels(outcome)

    def batch_encoded(self, space: str, texts: int) -> None:
        """Count one batch of the encoder."""
        self._batch.labels(space).observe(texts)

    def encoded(self, space: str, kind: str, seconds: float) -> None:
        """Count the time that one query (`kind` is text or picture) waited for its vector."""
        self._encode.labels(space, kind).observe(seconds)

    def searched(self, path: str, rows_scored: int) -> None:
        """Count one search by the path that ran."""
        self._paths.labels(path).inc()
        self._rows.observe(rows_scored)

    def watch_queue(self, queue: str, depth: Callable[[], float]) -> None:
        """Report `depth()` as the depth of a queue whenever the metrics are read."""
        self._depth.labels(queue).set_function(depth)

    def bundle_opened(self, number: int, rows: int) -> None:
        """Report the bundle that is served from now on; nothing is reported of one before it."""
        self._bundle.clear()
        self._depth.clear()
        self._bundle.labels(str(number)).set(rows)

    def bundle_followed(self, outcome: Literal["served", "refused"]) -> None:
        """Count a new state of the bundle that was found while another was served."""
        self._followed.labels(outcome).inc()

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format: requests, process, and the atlas's own."""
        return generate_latest(REGISTRY) + generate_latest(self.registry)


def prometheus_config() -> PrometheusConfig:
    """Litestar's request metrics, labelled by path template: raw paths would be without bound."""
    return PrometheusConfig(
        app_name="atlas",
        prefix="atlas",
        group_path=True,
        buckets=list(_LATENCY_BUCKETS_S),
    )
