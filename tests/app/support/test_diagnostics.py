"""What a report holds: no text and no file name, whatever an error said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.settings.schema import Settings
from app.support.diagnostics import diagnostics, version
from app.support.log_file import log_end, log_folder
from app.support.redaction import redacted_lines
from app.support.run_record import LostRun
from engine.installation import ROOT
from engine.protocol.events import Device

DEVICE = Device(id="cpu", name="A processor", total_bytes=2**30, free_bytes=2**29)
SECRETS = (
    "/home/anna/My novel, part 2.md: Permission denied",
    "C:\\Users\\Anna\\Documents\\letter to Clara.md",
    "“letter to Clara.md” is open in another window too.",
    f"{ROOT}/drafts/Clara.md and ./novel: https://anna.example",
    "[Errno 13] Permission denied: '/home/anna/letter to Clara.md' and ~/novel",
    "could not convert string to float: 'Clara\\'s suitcase'",
    'KeyError: "Clara isn\'t here"',
)
TRACE = f"""Traceback (most recent call last):
  File "{ROOT}/app/window/main_window.py", line 7, in start
    raise ValueError(text)
ValueError: 'The ferry was late.'
Clara sat on her suitcase.
    Clara watched.

During handling of the above exception, another exception occurred:
ModuleNotFoundError: No module named 'transformers'
"""


@pytest.fixture
def log() -> Path:
    log_folder().mkdir(parents=True)
    return log_folder() / "mezzotint.log"


def test_the_diagnostics_hold_no_name_and_no_text(qapp: object, log: Path) -> None:
    log.write_text("".join(f"2026-11-29 21:03:05,1 app INFO {secret}\n" for secret in SECRETS), "utf-8")
    settings = Settings(model="/home/anna/models/mine", model_folders=("/home/anna/models",), seed=7)
    text = diagnostics(settings, None, [DEVICE])
    for secret in ("anna", "Anna", "Clara", "novel", "mine"):
        assert secret not in text
    for words in (version("torch"), "A processor", "seed: 7", "model_folders: 1", "Permission denied"):
        assert words in text


@pytest.mark.parametrize(
    "address", ["http://anna:suitcase@proxy.example:8080", "anna:suitcase@proxy.example:8080"]
)
def test_the_diagnostics_hold_no_password(qapp: object, address: str) -> None:
    text = diagnostics(Settings(engine_proxy=address, engine_mirror=address), None, [DEVICE])
    assert "suitcase" not in text
    assert "proxy.example" not in text
    assert "engine_proxy: True" in text


def test_what_an_error_said_goes_and_where_it_was_stays(qapp: object) -> None:
    text = diagnostics(Settings(), None, [DEVICE], LostRun(0, TRACE), TRACE.splitlines())
    for secret in ("ferry", "Clara"):
        assert secret not in text
    for words in ('File "app/window/main_window.py", line 7', "ValueError: '…'", "'transformers'"):
        assert text.count(words) == 2  # where the run ended, and in the log


def test_what_an_error_of_the_engine_said_goes_too() -> None:
    said = [
        "Loading layers",
        "Traceback (most recent call last):",
        *TRACE.splitlines()[1:6],
        "",
        *TRACE.splitlines()[-2:],
    ]
    stamp = "2026-11-29 21:03:05,1 engine.runtime.child_process INFO "
    kept = list(
        redacted_lines(
            [f"{stamp}engine: {line}" for line in said]
            + [f"{stamp}engine process 7 ended", f"{stamp}engine: Loading layers"]
        )
    )
    assert [line.removeprefix(f"{stamp}engine: ") for line in kept] == [
        "Loading layers",
        "Traceback (most recent call last):",
        '  File "app/window/main_window.py", line 7, in start',
        "    raise ValueError(text)",
        "ValueError: '…'",
        "During handling of the above exception, another exception occurred:",
        "ModuleNotFoundError: No module named 'transformers'",
        f"{stamp}engine process 7 ended",
        "Loading layers",
    ]


def test_a_stack_stays_whole() -> None:
    stack = [
        "Fatal Python error: Segmentation fault",
        "Thread 0x00007f1c (most recent call first):",
        '  File "app/worker/background.py", line 53 in _work',
        "Current thread 0x00007f1d (most recent call first):",
        "  <no Python frame>",
        "Extension modules: msgspec._core, shiboken6.Shiboken (total: 2)",
    ]
    assert list(redacted_lines(stack)) == stack


def test_without_a_log_the_diagnostics_say_so(qapp: object) -> None:
    assert log_end() == []
    assert "no log" in diagnostics(Settings(), None, [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_the_logs_place_is_not_waited_for(log: Path) -> None:
    os.mkfifo(log)
    assert log_end() == []
