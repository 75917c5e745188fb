"""Draft a paragraph with a new environment, before it is used."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from app.engine_setup.commands import python_environment, run
from engine.protocol.errors import FaultError

_TEXT = "The ferry was late again. Clara sat on her suitcase at the end of the pier and watched the lights."


def draft_a_paragraph(python: Path, cancelled: threading.Event) -> None:
    """With the bundled model, on the best device. Raises FaultError, GivenUpError and OSError."""
    with TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        text.write_text(_TEXT, encoding="utf-8")
        draft = ("draft", "--before", text, "--model", "starter")
        code, out, told = run((python, "-m", "engine", *draft), python_environment(), cancelled)
    if code != 0 or not out.strip():
        last = (told.strip().splitlines() or [f"it ended with {code}"])[-1]
        raise FaultError(
            "trial",
            f"The new engine was tried and could not draft: {last}",
            "Choose another build and try again; what was there before is still used.",
            told,
        )
