"""A proxy's address, and its password, which is kept nowhere but in memory."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_WITH_PASSWORD = re.compile(r"((?:[\w.+-]+://)?[^:@/]*):(?!//)(.*)@([^@]*)", re.DOTALL)


def without_password(address: str) -> str:
    return split_password(address)[0]


def split_password(address: str) -> tuple[str, str]:
    """→ the address without its password, and that as the writer knows it."""
    found = _WITH_PASSWORD.fullmatch(address)
    return (f"{found[1]}@{found[3]}", unquote(found[2])) if found else (address, "")


def with_password(address: str, password: str) -> str:
    """Where the address has a name for it to go with."""
    before, at, host = address.rpartition("@")
    return f"{before}:{quote(password, safe='')}@{host}" if at and password else address
