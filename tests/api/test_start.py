"""Starting: what is wrong with a bundle or an encoder is one line, before anything is served."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from atlas.commands import main
from tests.factories import make_tiny_model

REPOSITORY = Path(__file__).resolve().parents[2]


def serve(bundle: Path, **environment: str) -> Result:
    """`atlas serve`, for bundles that must be refused."""
    return CliRunner().invoke(
        main, ["serve", "--bundle", str(bundle), "--port", "0"], env=environment
    )


def assert_refused(result: Result, *parts: str) -> None:
    """Exit code 2, and one line on standard error that names what is at fault."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, result.stderr
    for part in parts:
        assert part in lines[0]


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def test_no_bundle(tmp_path: Path) -> None:
    """An empty folder is named, with the file that is missing."""
    assert_refused(serve(tmp_path), "CURRENT", "missing")


@pytest.mark.parametrize(
    "pattern", ["catalog-*.duckdb", "segments/*/tiny.f16", "spaces/*/space.json"]
)
def test_missing_file(copy: Path, pattern: str) -> None:
    """A file that the manifest lists and the folder lacks is named."""
    path = next(copy.glob(pattern))
    path.unlink()
    assert_refused(serve(copy), str(path), "missing")


@pytest.mark.parametrize(
    "pattern", ["catalog-*.duckdb", "segments/*/tiny.f16", "segments/*/rows.parquet"]
)
def test_damaged_file(copy: Path, pattern: str) -> None:
    """One turned bit, same size: found by the checksum and named."""
    path = next(copy.glob(pattern))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    assert_refused(serve(copy), str(path), "checksum")


def test_other_weights(copy: Path, tmp_path: Path) -> None:
    """Vectors of other weights look right and mean nothing: refused, whatever is set."""
    other = make_tiny_model(tmp_path / "other", seed=99)
    config = tmp_path / "serve.toml"
    config.write_text(
        f'[spaces]\nmissing_encoder = "serve"\n[spaces.encoders]\ntiny = "local-dir:{other}"\n'
    )
    result = CliRunner().invoke(main, ["serve", "--bundle", str(copy), "--config", str(config)])
    assert_refused(result, "fingerprint", "tiny", str(other))


def test_encoder_out_of_reach(copy: Path, tmp_path: Path) -> None:
    """Without the model the server says which setting lets it start all the same."""
    config = tmp_path / "serve.toml"
    config.write_text(f'[spaces.encoders]\ntiny = "local-dir:{tmp_path / "gone"}"\n')
    result = CliRunner().invoke(main, ["serve", "--bundle", str(copy), "--config", str(config)])
    assert_refused(result, "gone", 'spaces.missing_encoder = "serve"')


def test_bad_settings(copy: Path, tmp_path: Path) -> None:
    """A misspelt key or a wild value is refused with its file or its variable."""
    config = tmp_path / "serve.toml"
    config.write_text("[server]\nprot = 8000\n")
    result = CliRunner().invoke(main, ["serve", "--bundle", str(copy), "--config", str(config)])
    assert_refused(result, str(config), "prot")
    assert_refused(serve(copy, ATLAS_SERVER__PORT="99999"), "ATLAS_SERVER__PORT", "65535")


def test_bundle_must_be_named() -> None:
    """Without a bundle there is nothing to serve; the usage says how to name one."""
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "--bundle" in result.stderr


@pytest.fixture
def server(tiny_bundle: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real server process on a free port, and the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "atlas", "serve", "--bundle", str(tiny_bundle), "--port", str(port)],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=1)
            break
        except httpx.TransportError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
    yield process, port
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_real_server(server: tuple[subprocess.Popen[str], int]) -> None:
    """Over a real socket: an answer, a 3 GB upload refused unread, and a clean end on SIGTERM."""
    process, port = server
    base = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{base}/v1/search?text=frog", timeout=30).status_code == 200
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"POST /v1/search/image HTTP/1.1\r\nHost: atlas\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 3221225472\r\n\r\n--b\r\n"
        )
        answer = client.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "application/problem+json" in answer
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}
    for line in log.splitlines():
        if line.startswith("{"):
            assert "event" in msgspec.json.decode(line)
    assert re.search(r'"event": ?"atlas open"', log)
    assert "Traceback" not in log
