"""A host of photos on this machine, with every fault that hosts have."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.unit.indexer.shards import jpeg


class Answer(NamedTuple):
    """What the host answers: once each in turn, the last of them from then on.

    `sent` cuts the body, `stall_s` waits in its middle, `status` 0 closes without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    sent: int | None = None
    stall_s: float = 0.0


class Seen(NamedTuple):
    """A request that came."""

    path: str
    agent: str
    running: int


class PhotoHost:
    """Answers by path; a path that is not known is a photo with that number, as `/7.jpg`."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[Seen] = []
        self.slow_s = 0.0
        self.url = ""
        self._running = 0
        self._lock = threading.Lock()

    def paths(self) -> list[str]:
        """The paths that were asked for, robots.txt aside."""
        return [seen.path for seen in self.seen if seen.path != "/robots.txt"]

    def take(self, path: str, agent: str) -> Answer:
        """Note a request, and find its answer."""
        with self._lock:
            self._running += 1
            self.seen.append(Seen(path, agent, self._running))
            waiting = self.answers.get(path, [])
            if waiting:
                return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if path == "/robots.txt":
            return Answer(status=404)
        return Answer(body=jpeg(int(path.strip("/").partition(".")[0])))

    def done(self) -> None:
        """Note the end of a request."""
        with self._lock:
            self._running -= 1


@contextmanager
def photo_host() -> Iterator[PhotoHost]:
    """A running host at `url`, which is `http://127.0.0.1:PORT`."""
    host = PhotoHost()
    leaving = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = host.take(self.path, self.headers.get("User-Agent", ""))
            try:
                leaving.wait(host.slow_s)
                self._send(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # who asked has left
            finally:
                host.done()

        def _send(self, answer: Answer) -> None:
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            headers = {
                "Content-Type": "image/jpeg",
                "Content-Length": str(len(answer.body)),
                **answer.headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            sent = len(answer.body) if answer.sent is None else answer.sent
            self.wfile.write(answer.body[: sent // 2])
            self.wfile.flush()
            leaving.wait(answer.stall_s)
            self.wfile.write(answer.body[sent // 2 : sent])
            if sent < len(answer.body):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield host
    finally:
        leaving.set()
        server.shutdown()
        serving.join()
        server.server_close()
