"""One window a user: a second start hands its file to the window that runs."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import platformdirs
from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication

from app.settings.store import default_path

# QtNetwork is imported where it is used: the first paint does not need it.
_WAIT_MS = 1000
_TAKEN = b"taken\n"
_MOST_BYTES = 2**16
_TOKEN = "XDG_ACTIVATION_TOKEN"


class Handover(msgspec.Struct):
    """What a second start hands over, as a line of JSON."""

    path: str | None = None
    """Absolute."""
    token: str = ""
    """With it a Wayland desktop lets the window come to the front."""


def server_name() -> str:
    """One for each user, settings and display. In a folder of the user's own: in one that all share, a
    stranger could listen under that name.
    """
    display = QGuiApplication.platformName() + os.environ.get(
        "WAYLAND_DISPLAY", os.environ.get("DISPLAY", "")
    )
    name = hashlib.sha256(f"{default_path()}\n{display}".encode(errors="surrogateescape")).hexdigest()[:16]
    if sys.platform == "win32":  # a named pipe
        return f"mezzotint-{name}"
    return str(platformdirs.user_state_path("mezzotint", appauthor=False) / name)


def hand_over(path: Path | None) -> bool:
    """Whether a running window has taken the file; never longer than a second or two."""
    name = server_name()
    if sys.platform != "win32" and not os.path.exists(name):
        return False
    from PySide6.QtNetwork import QLocalSocket

    socket = QLocalSocket()
    socket.connectToServer(name)
    if not socket.waitForConnected(_WAIT_MS):
        return False
    told = Handover(str(path.absolute()) if path else None, os.environ.get(_TOKEN, ""))
    try:
        socket.write(msgspec.json.encode(told) + b"\n")
    except UnicodeEncodeError:  # a name that is no text
        return False
    return bool(socket.waitForReadyRead(_WAIT_MS)) and bytes(socket.readLine().data()) == _TAKEN


class SingleInstance(QObject):
    """Listens for later starts, as long as it lives. take: is given a path, or None, and shows the window."""

    def __init__(self, take: Callable[[Path | None], object], parent: QObject) -> None:
        super().__init__(parent)
        from PySide6.QtNetwork import QLocalServer, QLocalSocket

        self._take = take
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        name = server_name()
        try:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # later starts open windows of their own
        probe = QLocalSocket()
        probe.connectToServer(name)
        if not probe.waitForConnected(_WAIT_MS):  # listening would take the name from a window that runs
            QLocalServer.removeServer(name)  # a run that died may have left it
            self._server.listen(name)

    def close(self) -> None:
        self._server.close()

    def _on_connection(self) -> None:
        socket = self._server.nextPendingConnection()
        socket.disconnected.connect(socket.deleteLater)

        def on_ready() -> None:
            if not socket.canReadLine():
                if socket.bytesAvailable() > _MOST_BYTES:
                    socket.abort()
                return
            try:
                told = msgspec.json.decode(socket.readLine().data(), type=Handover)
            except msgspec.DecodeError:
                socket.abort()
                return
            socket.write(_TAKEN)
            socket.disconnectFromServer()
            if told.token:
                os.environ[_TOKEN] = told.token  # Qt takes it when the window is activated
            self._take(Path(told.path) if told.path else None)

        socket.readyRead.connect(on_ready)
        on_ready()
