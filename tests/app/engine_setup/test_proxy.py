"""A proxy's password goes to the proxy, and to no file."""

from __future__ import annotations

import pytest

from app.engine_setup.proxy import split_password, with_password, without_password


@pytest.mark.parametrize(
    ("address", "plain", "password"),
    [
        ("http://anna:secret@host:8080", "http://anna@host:8080", "secret"),
        ("http://anna%40home:to%2F1@host:8080", "http://anna%40home@host:8080", "to/1"),
        ("http://anna:a@b:c@host:8080", "http://anna@host:8080", "a@b:c"),
        ("http://anna:a/b?c#d@host", "http://anna@host", "a/b?c#d"),
        ("http://anna:50%2541@host", "http://anna@host", "50%41"),
        ("anna:secret@host:8080", "anna@host:8080", "secret"),
        ("socks5://:secret@host", "socks5://@host", "secret"),
        ("http://anna:@host", "http://anna@host", ""),
        ("http://anna@host:8080", "http://anna@host:8080", ""),
        ("http://host:8080", "http://host:8080", ""),
        ("http://[::1]:8080", "http://[::1]:8080", ""),
        ("http://[", "http://[", ""),
        ("nonsense", "nonsense", ""),
        ("", "", ""),
    ],
)
def test_a_password_is_taken_out_of_an_address(address: str, plain: str, password: str) -> None:
    assert split_password(address) == (plain, password)
    assert without_password(address) == plain
    assert split_password(with_password(plain, password)) == (plain, password)


def test_without_a_name_there_is_no_password() -> None:
    assert with_password("http://host:8080", "secret") == "http://host:8080"
