"""For all tests: no display, no settings of the user's own, own folders, and a logged warning fails.

A test that expects warnings checks `caplog` and then calls `caplog.clear()`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What the user set for other programs, or for the app; MEZZOTINT_BF16 chooses the world that is tested.
FOREIGN = (
    "HF_",
    "HUGGING",
    "MEZZOTINT_",
    "PYTHON",
    "QT_",
    "SSL_",
    "TORCH",
    "TRANSFORMERS_",
    "TRITON_",
    "XDG_",
)
for name in list(os.environ):
    if name.startswith(FOREIGN) and name != "MEZZOTINT_BF16":
        del os.environ[name]
os.environ.setdefault("HOME", "/nowhere")  # libraries ask for it when they are imported
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nowhere"  # a desktop tells whether it reduces motion
os.environ["TRITON_INTERPRET"] = "1"  # kernels run on the processor; read when Triton is imported

# No clock, and no folder in the checkout, which may be another user's.
settings.register_profile(
    "any machine", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home, configuration, data and cache, empty for each test."""
    home = tmp_path / "home"
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        folder = home / name.removeprefix("XDG_").removesuffix("_HOME").lower()
        folder.mkdir(parents=True)
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_logged_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    loud = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert not loud
