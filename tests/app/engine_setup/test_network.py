"""The size of what lies at an address, whatever its server is like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PySide6.QtWidgets import QApplication

from app.engine_setup.network import GivenUpError, Network
from engine.protocol.errors import FaultError

SIZE = 3_000_000
Serve = Callable[..., str]


@pytest.fixture
def serve(qapp: QApplication) -> Iterator[Serve]:
    """→ the address of a file of SIZE bytes; `asked` says how it is asked for."""
    servers: list[ThreadingHTTPServer] = []

    def start(*, ranges: bool = True, length: bool = True, status: int = 0) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:  # as some servers answer: without a length
                self.send_response(200)
                self.end_headers()

            def do_GET(self) -> None:
                one = ranges and self.headers["Range"] == "bytes=0-0"
                self.send_response(status or (206 if one else 200))
                if one:
                    self.send_header("Content-Range", f"bytes 0-0/{SIZE}")
                if length:
                    self.send_header("Content-Length", "1" if one else str(SIZE))
                self.end_headers()
                with suppress(OSError):  # nobody waits for the rest
                    self.wfile.write(b"0" * (1 if one else SIZE))

            def log_message(self, format: str, *args: object) -> None: ...

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/a%20b.whl"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("ranges", "length"), [(True, True), (True, False), (False, True)])
def test_it_is_found_though_a_head_tells_none(serve: Serve, ranges: bool, length: bool) -> None:
    assert Network("", threading.Event()).size_of(serve(ranges=ranges, length=length)) == SIZE


@pytest.mark.parametrize("odd", [{"ranges": False, "length": False}, {"ranges": False, "status": 404}])
def test_where_it_is_not_told_that_is_a_fault_and_no_size(serve: Serve, odd: dict[str, object]) -> None:
    with pytest.raises(FaultError) as caught:
        Network("", threading.Event()).size_of(serve(**odd))
    assert caught.value.fault.kind == "network"
    assert "127.0.0.1" in caught.value.fault.message
    assert caught.value.fault.remedy


def test_given_up_it_ends(serve: Serve) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(GivenUpError):
        Network("", cancelled).size_of(serve())
