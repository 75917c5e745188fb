"""A Hub on 127.0.0.1: one model, and whatever can go wrong with it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from safetensors.numpy import save

from app.models.transfer import installation
from app.models.transfer.file_names import RECORD
from engine.checkpoints.catalogue import STARTER

REPO = "someone/gemma-for-tests"
COMMIT, LATER_COMMIT = "a" * 40, "b" * 40
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LARGE = (".safetensors", "tokenizer.json")
NEEDED = {
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "LICENSE",
    WEIGHTS,
}


def weights(count: int, seed: int = 0) -> bytes:
    return save({f"layer.{seed}": np.random.default_rng(seed).integers(0, 255, count, dtype=np.uint8)})


def model_files(count: int = 1_000_000) -> dict[str, bytes]:
    """A whole model, and what nobody needs."""
    return {
        "config.json": (STARTER.describes / "config.json").read_bytes(),
        "generation_config.json": b"{}",
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "LICENSE": b"Do as you like.",
        WEIGHTS: weights(count),
        "README.md": b"# A model",
        "modeling.py": b"raise SystemExit",
        "pytorch_model.bin": b"pickled",
        "original/consolidated.safetensors": weights(16),
    }


def sharded_files() -> dict[str, bytes]:
    files = model_files(16)
    shards = {f"model-0000{n}-of-00002.safetensors": weights(300_000, n) for n in (1, 2)}
    index = {"weight_map": {f"layer.{n}": name for n, name in enumerate(shards, start=1)}}
    return {**files, **shards, INDEX: json.dumps(index).encode()}


def make_model(folder: Path, record: installation.InstallRecord | None = None) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "LICENSE", WEIGHTS):
        (folder / name).write_bytes(model_files(1000)[name])
    if record:
        installation.write_record(folder, record)
    return folder


def is_whole(folder: Path, hub: Hub, names: set[str] = NEEDED) -> bool:
    """Byte for byte, and nothing else but the record."""
    there = {file.name: file.read_bytes() for file in folder.iterdir()}
    there.pop(RECORD)
    return there == {name: hub.files[name] for name in names}


@dataclass
class Seen:
    method: str
    host: str
    path: str
    range: str
    authorization: str
    accepts: str
    sent_bytes: int = 0

    @property
    def file(self) -> str:
        return self.path.rpartition("/")[2]


class Hub(ThreadingHTTPServer):
    """files: what it describes; sent: what it sends instead; sha256: what it says instead.

    faults: answers to the next requests, whatever they ask for. refused: a file's status and error code.
    cuts: the bytes of a file after which the connection ends, one a request. stalls: the byte after which
    nothing comes any more, until the client leaves. elsewhere: where large files are redirected to.
    bends_ranges: a range is answered by the whole file, called a part of it. untold: what its list leaves
    out.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = model_files()
        self.sent: dict[str, bytes] = {}
        self.sha256: dict[str, str] = {}
        self.commit = COMMIT
        self.faults: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.refused: dict[str, tuple[int, str]] = {}
        self.cuts: dict[str, list[int]] = {}
        self.stalls: dict[str, int] = {}
        self.stalled, self.left = threading.Event(), threading.Event()
        self.knows_ranges = True
        self.tells_length = True
        self.compresses = False
        self.bends_ranges = False
        self.content_type = ""
        self.untold: set[str] = set()
        self.elsewhere = ""
        self.requests: list[Seen] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that left
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.faults.append((status, headers or {}, body))

    def asked_for(self, file: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.file == file and "/resolve/" in seen.path]

    def sent_bytes(self, file: str) -> int:
        return sum(seen.sent_bytes for seen in self.requests if seen.file == file)

    def model_info(self) -> dict[str, Any]:
        siblings = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            sibling: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
            if name.endswith(LARGE):
                sha256 = self.sha256.get(name, hashlib.sha256(data).hexdigest())
                sibling["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append({key: value for key, value in sibling.items() if key not in self.untold})
        return {"id": REPO, "sha": self.commit, "siblings": siblings, "cardData": {"license": "apache-2.0"}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Hub

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        headers = self.headers
        path = unquote(urlsplit(self.path).path)
        seen = Seen(
            self.command,
            headers.get("host", ""),
            path,
            headers.get("range", ""),
            headers.get("authorization", ""),
            headers.get("accept-encoding", ""),
        )
        self.server.requests.append(seen)
        if self.server.faults:
            status, extra, body = self.server.faults.popleft()
            self._answer(status, body, extra)
        elif path.startswith(f"/api/models/{REPO}/revision/"):
            self._answer(200, json.dumps(self.server.model_info()).encode(), {})
        elif match := re.fullmatch(rf"/{REPO}/resolve/([0-9a-f]{{40}})/(.+)", path):
            self._send_file(seen, match[2])
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, seen: Seen, name: str) -> None:
        hub = self.server
        if name in hub.refused:
            status, code = hub.refused[name]
            self._answer(status, b"", {"X-Error-Code": code})
            return
        if hub.elsewhere and name.endswith(LARGE):
            self._answer(302, b"", {"Location": f"{hub.elsewhere}{seen.path}"})
            return
        data = hub.sent.get(name, hub.files[name])
        if hub.compresses:
            data = gzip.compress(data)
        begin = int(seen.range.removeprefix("bytes=").removesuffix("-")) if seen.range else 0
        if begin and not hub.knows_ranges:
            begin = 0
        if begin >= len(data) > 0:
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        self.send_response(206 if begin else 200)
        if begin:
            begin = 0 if hub.bends_ranges else begin
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        if hub.content_type:
            self.send_header("Content-Type", hub.content_type)
        if hub.tells_length:
            self.send_header("Content-Length", str(len(data) - begin))
        else:
            self.send_header("Connection", "close")
        if hub.compresses:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        self._send(seen, name, data, begin)

    def _send(self, seen: Seen, name: str, data: bytes, begin: int) -> None:
        hub = self.server
        cuts = hub.cuts.get(name, [])
        cut = cuts.pop(0) if cuts else None
        stall = hub.stalls.pop(name, None)
        end = next(place for place in (stall, cut, len(data)) if place is not None)
        self.wfile.write(data[begin:end])
        self.wfile.flush()
        seen.sent_bytes = end - begin
        if stall is not None:
            hub.stalled.set()
            with suppress(ConnectionError):  # it left before it had read all
                assert self.connection.recv(1) == b""
            hub.left.set()
            self.close_connection = True
        elif cut is not None:
            self.close_connection = True
