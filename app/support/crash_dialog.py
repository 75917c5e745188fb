"""After a crash: the recovered text first, then a report to copy."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.support.run_record import LostRun
from app.widgets.panel import heading, text_label
from app.widgets.text_dialog import TextDialog

_WIDTH_PX = 520
_MARGIN_PX = 24
_ENDS = {
    "crash": "It crashed.",
    "error": "An error ended it.",
    "killed": "It was ended from outside: by the system, when memory ran out, say, or when the power went.",
}
_RESTORED = "Your text is open again, as it was last written. Save it when you have looked it over."
_RESTORED_ELSEWHERE = "Another window has opened this text already."
_REPORT = (
    "A report tells the versions, the devices, where Mezzotint stopped and what it logged last; "
    "none of your texts, and no file names. Nothing is sent: copy it where you report the fault."
)


class CrashDialog(QDialog):
    """Stays open until the writer closes it: both the text and the report may be wanted."""

    def __init__(
        self,
        lost: LostRun,
        left_text: str,
        restore: Callable[[], bool],
        report: Callable[[], str],
        window: QWidget,
    ) -> None:
        """left_text: what is told of the text that can be restored; empty if there is none. restore: opens it
        → whether it is open now.
        """
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Mezzotint")
        self._report = report
        self._restore = restore
        self._left = text_label("The recovered text")
        self._left.setText(left_text or "No unsaved text was left behind.")
        self.restore_button = QPushButton("Restore it")
        self.restore_button.setHidden(not left_text)
        self.restore_button.clicked.connect(self._on_restore)
        show = QPushButton("Show the report", autoDefault=False)
        show.clicked.connect(self._show_report)
        self._copy = QPushButton("Copy the report", autoDefault=False)
        self._copy.clicked.connect(self._copy_report)
        self._close = QPushButton("Close")
        self._close.clicked.connect(self.accept)
        self._build(heading("Mezzotint did not close properly last time."), lost, show)
        self._set_default(self.restore_button if left_text else self._close)

    def _build(self, title: QLabel, lost: LostRun, show: QPushButton) -> None:
        end, report = text_label("How it ended", quiet=True), text_label("The report", quiet=True)
        end.setText(_ENDS[lost.end])
        report.setText(_REPORT)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, _MARGIN_PX)
        rows.addWidget(title)
        rows.addWidget(end)
        rows.addSpacing(_MARGIN_PX // 2)
        rows.addWidget(self._left)
        rows.addWidget(self.restore_button, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addSpacing(_MARGIN_PX // 2)
        rows.addWidget(report)
        rows.addStretch(1)  # what is above may become less
        rows.addSpacing(_MARGIN_PX // 2)
        buttons = QHBoxLayout()
        buttons.addWidget(show)
        buttons.addWidget(self._copy)
        buttons.addStretch(1)
        buttons.addWidget(self._close)
        rows.addLayout(buttons)
        self.setFixedWidth(_WIDTH_PX)

    def _set_default(self, button: QPushButton) -> None:
        button.setProperty("primary", True)
        button.style().polish(button)
        button.setDefault(True)
        button.setFocus()

    def _on_restore(self) -> None:
        self._left.setText(_RESTORED if self._restore() else _RESTORED_ELSEWHERE)
        self.restore_button.hide()
        self._set_default(self._close)

    def _show_report(self) -> None:
        text = self._report()
        TextDialog(
            "The report", f"<pre style='white-space: pre-wrap'>{escape(text)}</pre>", text, self
        ).open()

    def _copy_report(self) -> None:
        QGuiApplication.clipboard().setText(self._report())
        self._copy.setText("Copied")
