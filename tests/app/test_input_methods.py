"""Input methods that Qt has no plugin of its own for."""

from __future__ import annotations

import os

import pytest

from app.application import offer_input_methods


@pytest.mark.parametrize(
    ("one", "several", "offered"),
    [
        ("fcitx", None, "fcitx;ibus"),
        ("ibus", None, None),
        (None, "wayland;fcitx", "wayland;fcitx;ibus"),
        ("fcitx", "wayland;ibus", "wayland;ibus"),
        (None, None, None),
    ],
)
def test_fcitx_is_reached_as_ibus(
    one: str | None, several: str | None, offered: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"QT_IM_MODULE": one, "QT_IM_MODULES": several, "IBUS_USE_PORTAL": None}
    for name, value in before.items():
        monkeypatch.setenv(name, value or "")  # it is put back afterwards
        if value is None:
            monkeypatch.delenv(name)
    offer_input_methods()
    assert os.environ.get("QT_IM_MODULES") == offered
    assert ("IBUS_USE_PORTAL" in os.environ) == (offered != several)
