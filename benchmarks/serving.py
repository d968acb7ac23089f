"""Latency of `GET /v1/search?text=…`, end to end over HTTP, at several numbers of clients.

`python -m benchmarks.serving --bundle data/demo/bundle [--clients 1,32] [--requests N]
[--json FILE]`. Starts the server in a process of its own on a free loopback port, asks questions
that are all different, so that no cache answers, and stops the server again.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from atlas.bundle import Bundle
from atlas.errors import BundleError
from benchmarks.load import LOOPBACK, Load, run_load

READY = "/health/ready"
_WARM_UP = 20
_STOP_S = 20.0

_MANNERS = ("", "a photo of ", "a close view of ", "two ")
_COLOURS = (
    *("red", "green", "blue", "yellow", "black", "white", "brown", "orange", "grey", "purple"),
    *("red-eyed", "spotted", "striped", "pale"),
)
_ORGANISMS = (
    *("frogs", "birds", "butterflies", "beetles", "fish", "mammals", "flowers", "mushrooms"),
    *("ducks", "parrots", "moths", "orchids", "foxes", "wrasses", "ladybirds", "owls"),
)
_PLACES = (
    *("by a river", "near a lake", "in a forest", "in the desert", "in the snow", "on a reef"),
    *("at night", "in a meadow"),
)
MOST_QUESTIONS = len(_MANNERS) * len(_COLOURS) * len(_ORGANISMS) * len(_PLACES)


class ServerFailedError(Exception):
    """The server did not come up; the message ends with the last lines it wrote."""


def questions(count: int, seed: int) -> list[str]:
    """`count` different questions in an order that follows from `seed`; ValueError for too many."""
    if count > MOST_QUESTIONS:
        raise ValueError(f"{count} questions asked for, {MOST_QUESTIONS} are known")
    everything = itertools.product(_MANNERS, _COLOURS, _ORGANISMS, _PLACES)
    made = [f"{manner}{colour} {kind} {place}" for manner, colour, kind, place in everything]
    return random.Random(seed).sample(made, count)  # noqa: S311 - an order, not a secret


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def running_server(bundle: Path, config: Path | None, start_s: float) -> Iterator[int]:
    """The port of a server that runs for the length of the block; ServerFailedError if none does.

    The server gets SIGTERM at the end and, where it has not stopped `_STOP_S` later, SIGKILL.
    """
    port = free_port()
    command = [sys.executable, "-m", "atlas", "serve", "--bundle", str(bundle)]
    command += ["--host", LOOPBACK, "--port", str(port)]
    command += ["--config", str(config)] if config else []
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - our own program
        try:
            _await_ready(server, port, start_s)
            yield port
        except ServerFailedError as error:
            log.seek(0)
            last = "\n".join(log.read().decode(errors="replace").splitlines()[-15:])
            raise ServerFailedError(f"{error}\n{last}") from error
        finally:
            server.terminate()
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _await_ready(server: subprocess.Popen[bytes], port: int, start_s: float) -> None:
    """Return when the server says that it is ready."""
    until_s = time.perf_counter() + start_s
    while time.perf_counter() < until_s:
        if server.poll() is not None:
            raise ServerFailedError(f"the server ended with exit code {server.returncode}")
        if asyncio.run(run_load(port, [READY], clients=1, seconds=5, timeout_s=5)).times_ms:
            return
        time.sleep(0.2)
    raise ServerFailedError(f"the server was not ready after {start_s:g} s")


def measure(
    port: int, texts: Sequence[str], *, clients: int, seconds: float, limit: int
) -> tuple[Load, dict[str, Any]]:
    """Ask every text once; the load, and its numbers as a flat record."""
    targets = [f"/v1/search?{urlencode({'text': text, 'limit': limit})}" for text in texts]
    load = asyncio.run(run_load(port, targets, clients=clients, seconds=seconds))
    times_ms = np.array(load.times_ms or [np.nan])
    answers = [msgspec.json.decode(body) for body in load.bodies]
    record = {
        "clients": clients,
        "requests": len(load.times_ms) + load.errors.total(),
        "errors": load.errors.total(),
        **{f"errors_{status}": count for status, count in sorted(load.errors.items())},
        **{f"p{at}_ms": _rounded(float(np.percentile(times_ms, at))) for at in (50, 90, 99)},
        **{
            f"{step}_p50_ms": _rounded(float(np.median([a["took_ms"][step] for a in answers])))
            for step in ("encode", "search", "rows")
            if answers
        },
        "requests_per_s": round(load.answered_per_s, 1),
        "duration_s": round(load.duration_s, 2),
    }
    return load, record


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 2)


def show(records: Sequence[dict[str, Any]]) -> None:
    """Print the records as a table."""
    columns = ("clients", "requests", "errors", "p50_ms", "p90_ms", "p99_ms", "requests_per_s")
    steps = ("encode_p50_ms", "search_p50_ms", "rows_p50_ms")
    table = Table(*columns, *steps)
    for record in records:
        table.add_row(*(str(record.get(name, "")) for name in (*columns, *steps)))
    # Wide enough for all columns where there is no terminal to ask.
    Console(width=140).print(table)


def _clients(_context: click.Context, _parameter: click.Parameter, value: str) -> list[int]:
    try:
        counts = [int(text) for text in value.split(",")]
    except ValueError as error:
        raise click.BadParameter("give numbers with commas between, such as 1,32") from error
    if not all(1 <= count <= 256 for count in counts):
        raise click.BadParameter("1 to 256 clients")
    return counts


@click.command()
@click.option("--bundle", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--config", type=click.Path(path_type=Path, exists=True), help="Server settings.")
@click.option("--clients", default="1,32", show_default=True, callback=_clients)
@click.option("--requests", default=500, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=30.0, show_default=True, help="Longest time of each load.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 200))
@click.option("--seed", default=0, show_default=True, help="Order of the questions.")
@click.option("--start-s", default=120.0, show_default=True, help="Patience with the server.")
@click.option("--json", "json_path", default=None, type=click.Path(path_type=Path))
def main(
    bundle: Path,
    config: Path | None,
    clients: list[int],
    requests: int,
    seconds: float,
    limit: int,
    seed: int,
    start_s: float,
    json_path: Path | None,
) -> None:
    """Measure the latency of text search over HTTP; exit code 1 where any request failed."""
    wanted = _WARM_UP + requests * len(clients)
    if wanted > MOST_QUESTIONS:
        raise click.UsageError(f"{wanted} different questions needed, {MOST_QUESTIONS} are known")
    texts = iter(questions(wanted, seed))
    try:
        opened = Bundle.open(bundle, "sizes")
        space = next(iter(opened.spaces.values()))
        constants = {
            "benchmark": "serving",
            "system": "atlas",
            "case": "GET /v1/search?text=",
            "rows": opened.manifest.rows,
            "dim": space.dim,
            "seed": seed,
        }
        print(
            f"{opened.manifest.title}: {opened.manifest.rows:,} rows x {space.dim}; "
            f"{platform.machine()}, {os.cpu_count()} CPUs shared with the clients, "
            f"Python {platform.python_version()}"
        )
        records = []
        with running_server(bundle, config, start_s) as port:
            warm_up = list(itertools.islice(texts, _WARM_UP))
            measure(port, warm_up, clients=1, seconds=seconds, limit=limit)
            for count in clients:
                asked = list(itertools.islice(texts, requests))
                _, numbers = measure(port, asked, clients=count, seconds=seconds, limit=limit)
                records.append({**constants, **numbers})
    except (BundleError, ServerFailedError) as error:
        click.echo(f"serving: {error}", err=True)
        sys.exit(1)
    show(records)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(records), indent=2))
    sys.exit(1 if any(record["errors"] for record in records) else 0)


if __name__ == "__main__":
    main()
