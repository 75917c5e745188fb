"""Tiny wheels, their lock, and a server of them on 127.0.0.1."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from urllib.parse import unquote

import uv

from app.engine_setup.lock import Lock, Wheel, lock_file
from engine.protocol.errors import FaultError

UV = Path(uv.find_uv_bin())
NAMES = ("tiny_a", "tiny_b", "tiny_c")
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
TRIAL = "import tiny_a, tiny_b, tiny_c; print(tiny_c.part_39.NUMBER)"
_MODULES = 40
_BYTES = 300_000


def make_wheels(folder: Path) -> None:
    """Packages of many modules, each with bytes that do not compress."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        files = {f"{name}/__init__.py": f"from {name} import part_39\n".encode()}
        files |= {f"{name}/part_{number}.py": f"NUMBER = {number}\n".encode() for number in range(_MODULES)}
        files[f"{name}/data.bin"] = Random(name).randbytes(_BYTES)
        info = f"{name}-1.0.dist-info"
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        lines = [f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in files.items()]
        files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            for path, data in files.items():
                wheel.writestr(zipfile.ZipInfo(path), data)


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def make_lock(wheels: Path, address: str) -> Lock:
    found = []
    for name in NAMES:
        file = wheels / f"{name}-1.0-py3-none-any.whl"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        url = f"{address}/{file.name}"
        found.append(Wheel(name.replace("_", "-"), "1.0", url, file.stat().st_size, digest))
    return Lock(PYTHON, tuple(found), "0" * 64)


def write_lock(lock: Lock, folder: Path, backend: str = "cpu") -> Path:
    """→ as packaging/lock.py writes it, for this machine."""
    file = lock_file(backend, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(lock.text())
    return file


def try_tiny(python: Path, cancelled: threading.Event) -> None:
    """In place of a draft: everything is there and can be imported."""
    answer = subprocess.run([python, "-I", "-c", TRIAL], capture_output=True, text=True)
    if answer.stdout.strip() != "39":
        raise FaultError("trial", "The new engine could not draft.", "Try again.", answer.stderr)


def program(path: Path, text: str) -> Path:
    """A shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Server(ThreadingHTTPServer):
    """cuts: by a file's name, the bytes after which each next answer ends; then all is well."""

    daemon_threads = True

    def __init__(self, folder: Path, cuts: Mapping[str, Sequence[int]] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.cuts = {name: list(bytes_) for name, bytes_ in (cuts or {}).items()}
        self.status = 0
        self.page = b""
        self.knows_ranges = True
        self.asked: list[tuple[str, int]] = []
        """The files, and from which byte on."""
        self.sent_bytes = 0
        self.proxied: list[str] = []
        self.password = ""
        """With the name before it; of a proxy."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server, path = self.server, self.path
        if path.startswith("http"):  # as a proxy is asked
            server.proxied.append(path)
        told = base64.b64decode(self.headers.get("Proxy-Authorization", "").removeprefix("Basic "))
        if server.password and told.decode("utf-8", "replace") != server.password:
            self._send(407, b"", "text/plain")
            return
        name = unquote(path).rpartition("/")[2]
        match = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(match[1]) if match and server.knows_ranges else 0
        server.asked.append((name, int(match[1]) if match else 0))
        if server.status or server.page:
            self._send(server.status or 200, server.page, "text/html")
            return
        data = (server.folder / name).read_bytes()
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        cuts = server.cuts.get(name, [])
        part = data[first:][: cuts.pop(0)] if cuts else data[first:]
        for start in range(0, len(part), 1 << 14):
            self.wfile.write(part[start : start + (1 << 14)])
        server.sent_bytes += len(part)
        if len(part) < len(data) - first:
            self.close_connection = True

    def _send(self, status: int, page: bytes, kind: str) -> None:
        self.send_response(status)
        if status == 407:
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None: ...
