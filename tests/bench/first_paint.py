"""Opens a window and says so once it is painted: `-m tests.bench.first_paint app|bare`."""

from __future__ import annotations

import gc
import os
import sys

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QPlainTextEdit


def tell() -> None:
    print("painted", flush=True)
    os._exit(0)


def bare() -> None:
    class Text(QPlainTextEdit):
        def paintEvent(self, event: QPaintEvent) -> None:
            super().paintEvent(event)
            QTimer.singleShot(0, tell)

    app = QApplication(sys.argv[:1])
    window = QMainWindow()
    window.setCentralWidget(Text())
    window.resize(1180, 780)
    window.show()
    app.exec()


def real() -> None:
    gc.disable()  # as app.__main__ does before anything else
    from app import __main__
    from app.editor.page import Page

    paint = Page.paintEvent

    def paint_and_tell(page: Page, event: QPaintEvent) -> None:
        paint(page, event)
        QTimer.singleShot(0, tell)

    setattr(Page, "paintEvent", paint_and_tell)  # noqa: B010
    sys.argv = sys.argv[:1]
    __main__.main()


if __name__ == "__main__":
    {"app": real, "bare": bare}[sys.argv[1]]()
