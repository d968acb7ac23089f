"""A server of the page and a real browser for tests: what they share of starting and watching."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_READY_WITHIN_S = 120.0
# Headless machines have no graphics card: WebGL is drawn by the processor.
BROWSER_ARGUMENTS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-sandbox",
]


def chromium() -> str:
    """Where the machine's Chromium is; scripts/browser installs one. Raises where there is none."""
    found = os.environ.get("ATLAS_CHROMIUM") or shutil.which("chromium")
    if not found:
        raise FileNotFoundError("no Chromium: run scripts/browser, or set ATLAS_CHROMIUM")
    return found


@contextmanager
def serving(bundle: Path, log: Path) -> Iterator[str]:
    """`atlas serve` as a process of its own on a free loopback port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    arguments = ["serve", "--bundle", str(bundle), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "atlas", *arguments], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
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
