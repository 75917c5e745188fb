"""Explain a failure of the Hub or of the way there, and whether to try again."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RemoteEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

from engine.protocol.errors import FaultError

LONGEST_WAIT_S = 3600.0
HOST = re.compile(r"(?:[\w+.-]*://)?(?:[^/?#]*@)?([^/?#]*)")
PASSWORD = re.compile(r"(?<=://)[^/\s@]*@")
PASSING = (408, 425, 429)
# An address or a proxy that the client does not understand; ImportError: a kind of proxy that it lacks.
UNUSABLE = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL, ValueError, ImportError)
KEPT = "What is there so far is kept."


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed in a while."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING or error.response.status_code >= 500
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return False
    return isinstance(error, httpx2.TransportError) and not isinstance(error, UNUSABLE)


def told_wait_s(error: Exception) -> float | None:
    """How long the server asks to wait."""
    if not isinstance(error, HfHubHTTPError):
        return None
    headers = error.response.headers
    limit = parse_ratelimit_headers(headers)
    if limit and limit.remaining == 0:
        return min(limit.reset_in_seconds + 1.0, LONGEST_WAIT_S)
    told = headers.get("retry-after", "").strip()
    if told.isdecimal():
        return min(float(told), LONGEST_WAIT_S)
    try:
        seconds = parsedate_to_datetime(told).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def host_of(url: str) -> str:
    """Without a name and password, whether or not it begins with http://, and whether or not it is a URL."""
    found = HOST.match(url)
    return found[1] if found else ""


def explain(error: Exception, endpoint: str, repo: str, *, with_token: bool) -> FaultError:
    if isinstance(error, HFValidationError):
        return FaultError(
            "input", f"“{repo}” is no model’s name.", "Write it as the Hub does: owner/model.", str(error)
        )
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, endpoint, repo, with_token)
    host = host_of(endpoint)
    causes = list(_causes(error))
    message, remedy = f"The connection to {host} was cut.", "Check the network connection and try again."
    if isinstance(error, UNUSABLE):
        message = "The address of the Hub or of a proxy cannot be used."
        remedy = "Correct HF_ENDPOINT, HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, and start Mezzotint again."
    elif any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        message = f"{host} could not prove that it is {host}: its certificate is not trusted here."
        remedy = "Another program or your network may stand in between. Ask who runs the network."
    elif isinstance(error, httpx2.ProxyError):
        message, remedy = (
            f"{_proxy(endpoint)} refused the connection.",
            "Check the proxy’s settings and try again.",
        )
    elif isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and _proxy(endpoint):
        message = f"{_proxy(endpoint)} cannot be reached."
        remedy = "Check the network connection and the proxy’s settings, and try again."
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        message = f"{host} cannot be found: this computer seems to be offline."
    elif isinstance(error, httpx2.ConnectError):
        message = f"{host} cannot be reached."
    elif isinstance(error, httpx2.TimeoutException):
        message = f"{host} does not answer."
    return FaultError("network", message, f"{remedy} {KEPT}", repr(error))


def _explain_status(error: HfHubHTTPError, endpoint: str, repo: str, with_token: bool) -> FaultError:
    endpoint = PASSWORD.sub("", endpoint)
    host, page, tokens = host_of(endpoint), f"{endpoint}/{repo}", f"{endpoint}/settings/tokens"
    status, asked, hub = error.response.status_code, error.response.url, httpx2.URL(endpoint)
    gated, refused = isinstance(error, GatedRepoError), status in (401, 403)
    elsewhere = (asked.host, asked.port) != (hub.host, hub.port)
    no_file = isinstance(error, RemoteEntryNotFoundError) or (status == 404 and "/resolve/" in asked.path)
    answerer, later = host_of(str(asked)) if refused and elsewhere else host, f"Try again later. {KEPT}"
    other = (True, "network", f"{answerer} answered with error {status}.", later)
    licence = f"Open {page}, accept the licence there, then give an access token of that account ({tokens})."
    new_token = f"Check the name, or make a new access token with the right to read: {tokens}."
    own = f"Check the name. If {page} is yours to read, give an access token ({tokens})."
    gone = f"The version of “{repo}” that was chosen is no longer at {host}."
    proxy = f"{_proxy(endpoint) or 'The proxy'} asks for a name and password."
    password = "Put them into HTTP_PROXY or HTTPS_PROXY, and start Mezzotint again."
    soon = f"Try again in a few minutes. {KEPT}"
    cases = (
        (refused and not gated and elsewhere, *other[1:]),
        (gated or status == 403, "access", f"“{repo}” asks you to accept its licence first.", licence),
        (
            status == 401 and with_token,
            "access",
            f"{host} did not accept the access token, or there is no “{repo}”.",
            new_token,
        ),
        (status == 401, "access", f"“{repo}” is not open to everyone, or it does not exist.", own),
        (
            isinstance(error, RevisionNotFoundError),
            "not-found",
            gone,
            "Cancel this download and start it afresh.",
        ),
        (no_file, "damaged", f"A file of “{repo}” is missing at {host}.", later),
        (
            status == 404,
            "not-found",
            f"There is no model “{repo}” at {host}.",
            "Check the name; it reads owner/model.",
        ),
        (status == 407, "network", proxy, password),
        (status == 429, "network", f"{host} has had too many requests from here.", soon),
        other,
    )
    kind, message, remedy = next(case[1:] for case in cases if case[0])
    return FaultError(kind, message, remedy, PASSWORD.sub("", str(error)))


def _proxy(endpoint: str) -> str:
    """The proxy on the way to the endpoint, without its password; empty if there is none."""
    proxies = getproxies()
    proxy = proxies.get(urlsplit(endpoint).scheme) or proxies.get("all")
    return f"The proxy {host_of(proxy)}" if proxy and not proxy_bypass(host_of(endpoint)) else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
