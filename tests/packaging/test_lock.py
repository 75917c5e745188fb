"""The lock of the engine's packages tells each wheel's size, whatever its server tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import lock
import pytest

from app.engine_setup.lock import UNKNOWN_SIZE, Wheel


@contextmanager
def server(status: int, headers: Mapping[str, str]) -> Iterator[str]:
    """Answers a GET so, and a HEAD without any size, as indexes do."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, format: str, *args: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/tiny%2Bcpu-1.0-py3-none-any.whl"
    http.shutdown()
    http.server_close()


@pytest.mark.parametrize(
    ("status", "headers"),
    [(206, {"Content-Range": "bytes 0-0/1234", "Content-Length": "1"}), (200, {"Content-Length": "1234"})],
)
def test_a_wheel_has_the_size_that_a_first_byte_tells(status: int, headers: Mapping[str, str]) -> None:
    with server(status, headers) as url:
        assert lock.complete(Wheel("tiny", "1.0", url, UNKNOWN_SIZE, "f" * 64), "").size_bytes == 1234


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes 0-0/*"}])
def test_a_size_that_nobody_tells_is_an_error_of_that_build(headers: Mapping[str, str]) -> None:
    with server(206, headers) as url, pytest.raises(OSError, match="tiny"):
        lock.complete(Wheel("tiny", "1.0", url, UNKNOWN_SIZE, "f" * 64), "")
