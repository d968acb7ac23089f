"""Runs the HTTP application with uvicorn, directly: no process manager that could outlive it."""

from __future__ import annotations

import structlog
import uvicorn

from atlas.app import create_app, open_atlas
from atlas.settings import Settings
from atlas.telemetry import configure_logging


def run_server(settings: Settings) -> None:
    """Open the atlas, then listen until SIGINT or SIGTERM; open requests are finished.

    Raises BundleError or EncoderError before the port is opened.
    """
    configure_logging(settings.server.log_level)
    atlas = open_atlas(settings)
    manifest = atlas.bundle.manifest
    structlog.stdlib.get_logger("atlas.start").info(
        "atlas open",
        bundle=manifest.number,
        title=manifest.title,
        rows=manifest.rows,
        spaces=list(atlas.bundle.spaces),
        host=settings.server.host,
        port=settings.server.port,
    )
    uvicorn.Server(
        uvicorn.Config(
            create_app(atlas),
            host=settings.server.host,
            port=settings.server.port,
            # The request log is our own, and the logging configuration is in place already.
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=settings.server.shutdown_s,
        )
    ).run()
