"""The way to the Hub, and the token."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.models.transfer import process
from app.models.transfer.hub_errors import host_of
from app.models.transfer.messages import HubOrder
from app.models.transfer.resumable_fetch import DELAYS_S
from tests.app.models.hub_server import (
    WEIGHTS,
    Hub,
    is_whole,
)
from tests.app.models.transfer.conftest import Try


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def no_address(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_hub_that_cannot_be_reached(order: HubOrder) -> None:
    tried = Try(order, f"http://127.0.0.1:{closed_port()}")
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert "cannot be reached" in tried.fault.message
    assert tried.waits_s == list(DELAYS_S)


def test_certificates_that_are_not_there(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    tried = Try(order, "https://127.0.0.1")
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert "SSL_CERT_FILE" in tried.fault.remedy


def test_a_name_that_cannot_be_found(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    tried = Try(order, "http://hub.invalid")
    assert tried.fault is not None
    assert "offline" in tried.fault.message


def test_the_way_through_a_proxy(
    hub: Hub, order: HubOrder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_numbers(socket.getaddrinfo))
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    assert Try(order, "http://hub.invalid").done
    assert is_whole(folder, hub)
    assert {seen.host for seen in hub.requests} == {"hub.invalid"}


def only_numbers(real: Callable[..., object]) -> Callable[..., object]:
    def getaddrinfo(host: str, *rest: object, **named: object) -> object:
        if host != "127.0.0.1":
            no_address()
        return real(host, *rest, **named)

    return getaddrinfo


def test_a_proxy_that_does_not_answer_is_named(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    for proxy in (f"http://me:secret@127.0.0.1:{port}", f"me:secret@127.0.0.1:{port}"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        tried = Try(order, "http://hub.invalid")
        assert tried.fault is not None
        assert f"proxy 127.0.0.1:{port} " in tried.fault.message
        assert "secret" not in repr(tried.fault)


def test_a_proxy_that_is_not_on_the_way_is_not_named(
    order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tried = Try(order, f"http://127.0.0.1:{closed_port()}")
    assert tried.fault is not None
    assert "proxy" not in tried.fault.message


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [("ftp://hub", ""), ("hub", ""), ("http://hub", "gopher://proxy"), ("http://hub", "socks5://proxy")],
)
def test_an_address_that_is_none(
    order: HubOrder, monkeypatch: pytest.MonkeyPatch, endpoint: str, proxy: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    tried = Try(order, endpoint)
    assert tried.fault is not None
    assert "HF_ENDPOINT" in tried.fault.remedy
    assert "ALL_PROXY" in tried.fault.remedy
    assert tried.fault.message == "The address of the Hub or of a proxy cannot be used."
    assert tried.fault.kind == "network"
    assert tried.waits_s == []


def test_a_socks_address_beside_the_proxy_on_the_way(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_numbers(socket.getaddrinfo))
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{closed_port()}")
    assert Try(order, "http://hub.invalid").done


def test_the_way_through_a_socks_proxy(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
    tried = Try(order, "http://hub.invalid")
    assert tried.fault is not None
    assert tried.fault.message == f"The proxy 127.0.0.1:{port} cannot be reached."


def test_a_socks_address_as_desktops_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:7891/")
    monkeypatch.setenv("HTTPS_PROXY", "http://socks:7891")
    assert process.plain_proxies() == {"all_proxy": "socks5://127.0.0.1:7891/"}


@pytest.mark.parametrize(
    "body", [b"<html>Log in to the guest network</html>", b"\x1f\x8b", b"[]", b"{}", b"null"]
)
def test_a_login_page_in_between(hub: Hub, order: HubOrder, body: bytes) -> None:
    hub.fault(200, body=body)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert "login page" in tried.fault.remedy


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: Hub, order: HubOrder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Hub()
    try:
        hub.elsewhere = store.url
        assert Try(msgspec.structs.replace(order, token="hf_secret"), hub.url).done
    finally:
        store.shutdown()
        store.server_close()
    assert {seen.authorization for seen in hub.requests} == {"Bearer hf_secret"}
    assert {seen.authorization for seen in store.requests} == {""}
    assert {seen.file for seen in store.requests} == {WEIGHTS, "tokenizer.json"}
    assert not [file for file in folder.iterdir() if b"hf_secret" in file.read_bytes()]


def test_no_token_is_sent_that_was_not_given(
    hub: Hub, order: HubOrder, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_from_somewhere")
    (own_folders / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert Try(order, hub.url).done
    assert {seen.authorization for seen in hub.requests} == {""}


@pytest.mark.parametrize("status", [403, 404, 418])
def test_a_password_in_the_endpoint_is_not_told(hub: Hub, order: HubOrder, status: int) -> None:
    hub.fault(status)
    tried = Try(order, hub.url.replace("//", "//me:secret@"))
    assert tried.fault is not None
    assert f"127.0.0.1:{hub.server_port}" in tried.fault.message + tried.fault.remedy
    assert "secret" not in repr(tried.fault)


def test_a_token_that_can_be_none(hub: Hub, order: HubOrder) -> None:
    tried = Try(msgspec.structs.replace(order, token="hf_ä\n"), hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "access"
    assert "hf_" not in repr(tried.fault)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hub.example/x?next=https://evil.example/y", "hub.example"),
        ("https://hub.example/a@b/c", "hub.example"),
        ("hub.example/x?next=https://evil.example/y", "hub.example"),
        ("https://u:p@hub.example:8080/x", "hub.example:8080"),
        ("u:p@ss@hub.example", "hub.example"),
        ("hub.example:3128", "hub.example:3128"),
        ("https://hub.example?a@b", "hub.example"),
        ("http://[::1", "[::1"),
        ("", ""),
    ],
)
def test_the_host_is_what_is_connected_to(url: str, host: str) -> None:
    assert host_of(url) == host
