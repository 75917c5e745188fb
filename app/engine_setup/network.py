"""Qt's network in a thread that waits for it: one request at a time, in pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from PySide6.QtCore import QEventLoop, QTimer, QUrl
from PySide6.QtNetwork import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkProxyFactory,
    QNetworkProxyQuery,
    QNetworkReply,
    QNetworkRequest,
    QSslSocket,
)

from engine.protocol.errors import FaultError

_QUIET_MS = 30_000
_LOOK_MS = 100
_BUFFER_BYTES = 4 << 20
_PART = 206
_GOOD = (200, _PART)
_Error = QNetworkReply.NetworkError
_PROXY = (
    _Error.ProxyConnectionRefusedError,
    _Error.ProxyConnectionClosedError,
    _Error.ProxyNotFoundError,
    _Error.ProxyTimeoutError,
    _Error.UnknownProxyError,
)
_CHECK = "Check the network connection."
_REASONS = {
    _Error.HostNotFoundError: ("the name {host} cannot be found", _CHECK),
    _Error.ConnectionRefusedError: ("{host} refuses the connection", _CHECK),
    _Error.RemoteHostClosedError: ("{host} closed the connection", _CHECK),
    _Error.TimeoutError: ("{host} does not answer", _CHECK),
    _Error.OperationCanceledError: ("{host} has sent nothing for half a minute", _CHECK),
    _Error.TemporaryNetworkFailureError: ("the network is down", _CHECK),
    _Error.NetworkSessionFailedError: ("the network is down", _CHECK),
}


class GivenUpError(Exception):
    """The writer has given it up."""


class NetworkError(Exception):
    """may_pass: whether another try may do."""

    def __init__(self, fault: FaultError, *, may_pass: bool) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.may_pass = may_pass


class Network:
    """Made and used in one thread, which needs no event loop of its own."""

    def __init__(self, proxy: str, cancelled: threading.Event) -> None:
        """proxy: an address, or the system's if empty. Raises FaultError for what is none."""
        self._cancelled = cancelled
        self._manager = QNetworkAccessManager()
        self._manager.setRedirectPolicy(QNetworkRequest.RedirectPolicy.NoLessSafeRedirectPolicy)
        self._proxy = proxy
        if proxy:
            self._manager.setProxy(_proxy_at(proxy))
        self._loop = QEventLoop()
        self._look = QTimer()
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._on_look)

    def get(self, url: str, first_byte: int, on_reply: Callable[[QNetworkReply], None]) -> None:
        """on_reply: called whenever there may be something to read; it reads it all.

        Raises NetworkError, GivenUpError, and what on_reply raises.
        """
        request = self._request(url)
        if first_byte:
            request.setRawHeader(b"Range", f"bytes={first_byte}-".encode())
        self._await(self._manager.get(request), on_reply)

    def size_of(self, url: str) -> int:
        """As the server tells it with a first byte. Raises FaultError and GivenUpError."""
        request = self._request(url)
        request.setRawHeader(b"Range", b"bytes=0-0")
        try:
            self._await(self._manager.get(request), _tell_size)
        except _SizeTold as told:
            return told.size_bytes
        except NetworkError as error:
            raise error.fault from error
        raise _size_untold(url)

    def _request(self, url: str) -> QNetworkRequest:
        address = QUrl(url)
        if address.scheme() not in ("http", "https"):
            message = f"“{url}” is no address on the web."
            raise FaultError(
                "network", message, "Correct the mirror in Settings › Engine, such as https://…."
            )
        if address.scheme() == "https" and not QSslSocket.supportsSsl():
            message = "This computer has no OpenSSL 3, without which nothing can be fetched safely."
            raise FaultError(
                "network", message, "Install it (libssl3), or set the engine up from files on this computer."
            )
        if self._proxy == "":
            self._manager.setProxy(QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(address))[0])
        request = QNetworkRequest(address)
        request.setTransferTimeout(_QUIET_MS)
        request.setRawHeader(b"Accept-Encoding", b"identity")
        return request

    def _await(self, reply: QNetworkReply, on_reply: Callable[[QNetworkReply], None]) -> None:
        reply.setReadBufferSize(_BUFFER_BYTES)
        reply.readyRead.connect(self._loop.quit)
        reply.finished.connect(self._loop.quit)
        self._look.start()
        try:
            ended = False
            while not ended:
                self._loop.exec()
                if self._cancelled.is_set():
                    raise GivenUpError
                ended = reply.isFinished()
                if status_of(reply) in _GOOD:  # what came before it was cut counts
                    on_reply(reply)
            if reply.error() is not _Error.NoError:
                raise self._error(reply)
        finally:
            self._look.stop()
            if not reply.isFinished():
                reply.abort()
            reply.deleteLater()

    def wait(self, seconds: float) -> None:
        """Raises GivenUpError."""
        if self._cancelled.wait(seconds):
            raise GivenUpError

    def _on_look(self) -> None:
        if self._cancelled.is_set():
            self._loop.quit()

    def _error(self, reply: QNetworkReply) -> NetworkError:
        error, status = reply.error(), status_of(reply)
        status = 0 if status in _GOOD else status
        host = urlsplit(reply.url().toString()).hostname or "the server"
        may_pass = not status or status >= 500 or status in (408, 429)
        if error is _Error.ProxyAuthenticationRequiredError:
            told, remedy, may_pass = "the proxy asks for a name and a password", _PROXY_REMEDY, False
        elif error in _PROXY:
            told, remedy = "the proxy cannot be reached", _PROXY_REMEDY
        elif error is _Error.SslHandshakeFailedError:
            told, may_pass = f"{host} cannot prove that it is the right server", False
            remedy = "Check the computer’s clock, and whether the network has a login page."
        elif status:
            told, remedy = f"{host} answers with the error {status}", "Try again later, or use a mirror."
        else:
            reason, remedy = _REASONS.get(error, (f"{{host}}: {reply.errorString()}", _CHECK))
            told = reason.format(host=host)
        message = f"The engine’s parts cannot be fetched: {told}."
        return NetworkError(FaultError("network", message, remedy, reply.errorString()), may_pass=may_pass)


_PROXY_REMEDY = "Correct the proxy in Settings › Engine, such as http://name@host:8080, and its password."


class _SizeTold(Exception):  # noqa: N818 - no fault: the rest of the answer is not waited for
    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes


def _tell_size(reply: QNetworkReply) -> None:
    """Many servers tell none with a HEAD; one that knows no ranges begins to send all of it."""
    name = "Content-Range" if status_of(reply) == _PART else "Content-Length"
    size = bytes(reply.rawHeader(name).data()).rpartition(b"/")[2]
    if not size.isdigit():
        raise _size_untold(reply.url().toString())
    raise _SizeTold(int(size))


def _size_untold(url: str) -> FaultError:
    parts = urlsplit(url)
    message = f"{parts.hostname} does not tell how large {unquote(parts.path).rpartition('/')[2]} is."
    return FaultError("network", message, "Try again later, or use a mirror.")


def status_of(reply: QNetworkReply) -> int:
    status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    return int(status or 0)


def _proxy_at(address: str) -> QNetworkProxy:
    kinds = {
        "http": QNetworkProxy.ProxyType.HttpProxy,
        "https": QNetworkProxy.ProxyType.HttpProxy,
        "socks5": QNetworkProxy.ProxyType.Socks5Proxy,
        "socks": QNetworkProxy.ProxyType.Socks5Proxy,
    }
    try:
        parts = urlsplit(address)
        kind, port = kinds[parts.scheme], parts.port or 8080
    except (KeyError, ValueError) as error:
        message = f"“{address}” is no address of a proxy."
        raise FaultError("network", message, _PROXY_REMEDY) from error
    proxy = QNetworkProxy(kind, parts.hostname or "", port)
    proxy.setUser(unquote(parts.username or ""))
    proxy.setPassword(unquote(parts.password or ""))
    return proxy
