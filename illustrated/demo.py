"""`scripts/demo`: builds the demo atlas if it is not there, then serves it or checks its answers.

The composition of three programs: the drawings, the indexer, the server. The server runs as a
process of its own, as it would for anybody else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
from rich.console import Console

from atlas.errors import AtlasError
from illustrated.progress import bar

REPOSITORY = Path(__file__).resolve().parent.parent
PLAN = REPOSITORY / "configs" / "demo.toml"
PHOTOS = REPOSITORY / "data" / "demo" / "photos"
RECORDS = 5_000
SEED = 7
SIDE_PX = 320
_READY_WITHIN_S = 120.0
_CONSOLE = Console(stderr=True)


def draw_photos() -> None:
    """Draw the pictures and write their table, unless they are there already."""
    from illustrated.make import make_atlas

    # The list of expected fates is written last, so it stands for a finished folder.
    if (PHOTOS / "expected.json").exists():
        return
    with bar(_CONSOLE) as progress:
        task = progress.add_task("drawing", total=RECORDS)
        make_atlas(PHOTOS, RECORDS, SEED, SIDE_PX, lambda count: progress.advance(task, count))


def build_bundle() -> Path:
    """Build configs/demo.toml, or find that it is built; returns the bundle's folder."""
    from indexer.build import build
    from indexer.plan import read_plan
    from indexer.progress import Terminal

    plan = read_plan(PLAN)
    build(plan, Terminal(_CONSOLE))
    return plan.output.bundle


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_command(bundle: Path, port: int) -> list[str]:
    """The command line that serves the bundle at 127.0.0.1."""
    arguments = ["serve", "--bundle", str(bundle), "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "atlas", *arguments]


@contextmanager
def running_server(bundle: Path, port: int, log: Path) -> Iterator[str]:
    """Serve the bundle while the block runs; yields the address. Logs go to `log`.

    Raises RuntimeError with the log's end when the server does not become ready.
    """
    address = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        process = subprocess.Popen(
            server_command(bundle, port), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_ready(process, address, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{address}/health/ready", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"the server did not become ready:\n{log.read_text()[-2000:]}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--port", default=8000, show_default=True, help="Port to serve at, on 127.0.0.1.")
@click.option("--build-only", is_flag=True, help="Stop before serving.")
@click.option(
    "--check",
    is_flag=True,
    help="Serve on a free port, ask one question of each kind, print the answers, and leave "
    "with exit code 1 if any is wrong.",
)
def main(*, port: int, build_only: bool, check: bool) -> None:
    """Build the illustrated demo atlas if it is not there, and serve it."""
    from illustrated.check import check_answers

    started_s = time.monotonic()
    try:
        draw_photos()
        bundle = build_bundle()
    except AtlasError as error:
        click.echo(f"scripts/demo: {error}", err=True)
        sys.exit(1)
    _CONSOLE.print(f"The demo atlas is built ({time.monotonic() - started_s:.0f} s): {bundle}")
    if build_only:
        return
    if check:
        log = bundle.parent / "server.log"
        with running_server(bundle, free_port(), log) as address:
            wrong = check_answers(address, PHOTOS, Console())
        sys.exit(1 if wrong else 0)
    _CONSOLE.print(f"Serving at http://127.0.0.1:{port} (Ctrl-C stops)")
    command = server_command(bundle, port)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
