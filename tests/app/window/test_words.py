"""What a writer reads in the window is in a writer's words, and each fault is told by its own reason."""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QTextEdit,
    QWidget,
)

from app.documents import files
from app.drafting.draft_session import DraftState
from app.support.crash_dialog import CrashDialog
from app.support.run_record import LostRun
from app.window.main_window import MainWindow
from engine.checkpoints.precision import BYTES_PER_WEIGHT
from engine.checkpoints.units import PRECISION_NAMES
from engine.protocol.errors import Fault, fault_of
from engine.protocol.events import Loading
from engine.runtime.child_process import RESTART_REMEDY
from tests.app.conftest import Run
from tests.app.pages import TEXT
from tests.app.window.conftest import settle
from tests.fakes import ready

JARGON = re.compile(
    r"""
    \b(?: [bf](?:p|loat|f)?(?:8|16|32) | nf4 | int[48] | logits? | soft-?max | (?:de|re)nois\w+ | nats?
        | entrop\w+ | canvas\w* | pre-?fill\w* | (?<!access\ )tokens? | kv | embedding\w* | quanti[sz]\w*
        | stand-in\w* | sig[a-z]{3,6} | errno | std(?:err|in|out) | exit\ code | traceback | exception
        | cuda | torch | transformers | tensors? | safetensors | checkpoints? | samplers? | v?ram | batch\w*
        | inference | subprocess | child\ process | mutex | sockets? | json | (?-i:None|NaN|True|False)
    )\b | \w_\w | \b0x
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What a writer should never have to read."""
NAMES = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b|config\.json|as safetensors")
"""What has to be looked for, or changed, under just this name."""
SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|DROP|VACUUM|unicode61|\w+ = \?)")
"""What is said to a database."""
UNSEEN = {"application.py", "run_record.py", "redaction.py", "prompt_facts.py"}
"""What these say is for the terminal, is looked for in a log, or counts what a model counts."""
REPORTS = {"Diagnostics", "About Mezzotint", "The report"}
"""For those who mend Mezzotint; they name packages."""


def widgets(window: QWidget) -> Iterator[QWidget]:
    """All that is made by now, shown or not, without the writer's own text."""
    for widget in (window, *window.findChildren(QWidget)):
        if widget.window().windowTitle() not in REPORTS and not isinstance(widget, QTextEdit):
            yield widget


def is_jargon(text: str) -> bool:
    return JARGON.search(NAMES.sub("", text)) is not None


def texts(window: QWidget) -> Iterator[str]:
    for widget in widgets(window):
        yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
        yield from (widget.windowTitle(), widget.statusTip(), widget.whatsThis())
        if isinstance(widget, QLabel | QAbstractButton):
            yield widget.text()
        elif isinstance(widget, QLineEdit):
            yield widget.placeholderText()
        elif isinstance(widget, QComboBox):
            yield from map(widget.itemText, range(widget.count()))
        elif isinstance(widget, QMenu):
            yield widget.title()
    for action in window.findChildren(QAction):
        yield from (action.text(), action.iconText(), action.toolTip())


def jargon(window: QWidget) -> list[str]:
    """The texts that a writer would not understand."""
    window.grab()  # labels tell in tool tips what they have no room for
    QApplication.sendPostedEvents()  # in a task no timer may run, which would step into it
    return sorted({text for text in texts(window) if is_jargon(text)})


def open_everything(window: MainWindow) -> None:
    window.panel_action.trigger()
    next(b for b in window.side_panel.panel.findChildren(QPushButton) if b.text().startswith("Adv")).click()
    window.side_panel.open_models()
    window.view.find_bar.open(replacing=True)
    window.view.instruction_line.open()


@pytest.mark.parametrize("precision", BYTES_PER_WEIGHT)
def test_the_window_speaks_a_writers_words(window: MainWindow, run: Run, precision: str) -> None:
    found = [*jargon(window)]
    window.start(None)
    open_everything(window)
    window.model.loading = Loading(request_id="1", stage="Starting the engine", fraction=0.2)
    window.model.changed.emit()
    found += jargon(window)
    seen: set[DraftState | None] = set()

    def look() -> None:
        nonlocal found
        if window.view.drafts.state not in seen:
            seen.add(window.view.drafts.state)
            found += jargon(window)

    window.view.drafts.changed.connect(look)
    run(settle(window))
    assert seen >= {DraftState.PREPARING, DraftState.DENOISING, DraftState.SETTLED}
    window.model.ready = msgspec.structs.replace(ready("1"), precision=precision, label="starter model")
    window.model.changed.emit()
    found += jargon(window)
    assert PRECISION_NAMES[precision].capitalize() in window.status.model.details
    window.view.drafts.discard_all()
    assert sorted(set(found)) == []


def test_what_is_asked_and_helped_with_is_in_a_writers_words(window: MainWindow) -> None:
    menu = window.top.menus.actions()[-1].menu()
    assert isinstance(menu, QMenu)
    menu.actions()[0].trigger()
    window.view.page.insertPlainText("x")
    window.close()
    box = window.findChild(QMessageBox)
    assert box is not None
    assert jargon(window) == []
    box.reject()
    for stack in ("", "Traceback (most recent call last)", "Fatal Python error: Segmentation fault"):
        dialog = CrashDialog(LostRun(1.0, stack), "A text was left.", lambda: True, lambda: "", window)
        assert jargon(dialog) == []


def sentences(source: str) -> Iterator[str]:
    """What a module says: its texts of several words, without docstrings and what goes to the log."""
    unsaid: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        text = ""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unsaid.add(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).partition(".")[0] in ("_log", "log"):
            unsaid.update(ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            unsaid.update(node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if " " in text.strip() and node not in unsaid and not SQL.match(text):
            yield text


def test_no_module_of_the_window_says_anything_else() -> None:
    root = Path(files.__file__).parents[1]
    told = {
        text: path.name
        for path in root.rglob("*.py")
        if path.name not in UNSEEN
        for text in sentences(path.read_text(encoding="utf-8"))
        if is_jargon(text)
    }
    assert told == {}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "its name is too long"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"), "not enough memory"),
        (RuntimeError("could not create a primitive"), "not enough memory"),
    ],
)
def test_a_fault_of_the_machine_is_told_by_its_reason(
    window: MainWindow, error: Exception, reason: str
) -> None:
    window.view.drafts.failed.emit(fault_of(error))
    assert reason in window.notice.text
    assert jargon(window) == []


def test_an_engine_that_closed_its_output_is_told_as_such(window: MainWindow) -> None:
    message = "The engine closed its output while it still ran."
    window.view.drafts.failed.emit(Fault("engine-garbled", message, RESTART_REMEDY, "SIGKILL"))
    assert message in window.notice.text
    assert jargon(window) == []


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "the disk is full"), (errno.ENAMETOOLONG, "its name is too long")]
)
def test_a_text_that_cannot_be_saved_says_why(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "write_atomically", fail)
    window.view.page.insertPlainText(TEXT)
    assert not window.files.save_to(tmp_path / "a.md")
    assert reason in window.notice.text
    assert jargon(window) == []
