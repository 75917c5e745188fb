"""Widgets of the side panel's pages; imported when the panel is first opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

W = TypeVar("W", bound=QWidget)
L = TypeVar("L", bound=QBoxLayout)

SHORT_TEXT = int(Qt.ItemDataRole.UserRole) + 1
SCROLL_BAR = 10
RETURN_PRESSES = "QPushButton { qproperty-autoDefault: true }"
"""The stylesheet of what has buttons that Return is to press, as Space does."""
MARGIN = 22
_LONG_WORD = re.compile(r"[^\s/\\-]{17,}")
_ADDRESS = re.compile(r"(https?://[^\s()]*[^\s().,:;])")
_BROWSABLE = Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
_PIECE = re.compile("_|[^_]{16}")


class _TextLabel(QLabel):
    """Tab comes to a link at once: Qt alone has it stop at the label first, which shows nothing."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason):
            self.focusNextPrevChild(event.reason() is Qt.FocusReason.TabFocusReason)


class _CloseButton(QToolButton):
    """Return presses it, as Space does."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


class _WheelScrollsThePanel(QObject):
    """Lets the wheel pass by a control without focus, so that scrolling changes no setting."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def go_round(panel: QWidget, forward: bool) -> bool:
    """What Tab does in the panel: on to its next control, from the last one to the first → whether there is
    one. For focusNextPrevChild().
    """
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    on = QWidget.nextInFocusChain if forward else QWidget.previousInFocusChain
    begin = panel.focusWidget() or panel
    control = on(begin)
    while control and control is not begin:
        takes_tab = control.focusPolicy() & Qt.FocusPolicy.TabFocus and not control.focusProxy()
        if takes_tab and panel.isAncestorOf(control) and control.isVisible() and control.isEnabled():
            control.setFocus(reason)
            return True
        control = on(control)
    return False


def named(widget: W, name: str) -> W:
    widget.setAccessibleName(name)
    return widget


def tame(control: QWidget) -> None:
    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    control.installEventFilter(_WheelScrollsThePanel(control))


def filled(layout: L, *parts: QWidget | QLayout, spacing: int | None = None) -> L:
    for part in parts:
        layout.addLayout(part) if isinstance(part, QLayout) else layout.addWidget(part)
    if spacing is not None:
        layout.setSpacing(spacing)
    return layout


def heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setPixelSize(round(label.fontInfo().pixelSize() * 1.25))
    label.setFont(font)
    return label


def title_row(title: QWidget, close: Callable[[], object]) -> QHBoxLayout:
    """What a page begins with."""
    button = named(_CloseButton(), "Close the settings")
    button.setText("×")
    button.setToolTip("Close the settings")
    button.setProperty("bare", True)
    button.clicked.connect(close)
    row = QHBoxLayout()
    row.addWidget(title)
    row.addStretch(1)
    row.addWidget(button)
    return row


def link(text: str, act: Callable[[], object], name: str = "") -> QPushButton:
    """name: what a screen reader says, where that is more than the text."""
    button = named(QPushButton(text), name or text)
    button.setProperty("link", True)
    button.clicked.connect(act)
    return button


def text_label(what: str, *, quiet: bool = False) -> QLabel:
    """Text of several lines, taken as it is. what: said after the text by a screen reader, which would say a
    label's name in place of its text.
    """
    label = _TextLabel(wordWrap=True)
    label.setAccessibleDescription(what)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("quiet", quiet)
    return label


def breakable(text: str) -> str:
    """With places for a line to end in words too long for one, such as the names of folders."""
    return _LONG_WORD.sub(lambda word: _PIECE.sub("\\g<0>\u200b", word[0]), text)


def show_linked(label: QLabel, text: str) -> None:
    """The text with its addresses to be opened."""
    parts = _ADDRESS.split(text)  # every other one is an address
    texts = [escape(breakable(part)).replace("\n", "<br>") for part in parts]
    texts[1::2] = [f'<a href="{escape(parts[at])}">{texts[at]}</a>' for at in range(1, len(parts), 2)]
    links = len(parts) > 1
    label.setTextFormat(Qt.TextFormat.RichText if links else Qt.TextFormat.PlainText)
    label.setText("".join(texts) if links else breakable(text))
    label.setTextInteractionFlags(_BROWSABLE if links else Qt.TextInteractionFlag.NoTextInteraction)
    label.setOpenExternalLinks(True)


def page_rows(page: QWidget, width: int) -> tuple[QVBoxLayout, QScrollArea]:
    """Rows that fill a page of that width, and what scrolls them."""
    content = QWidget()
    content.setProperty("panel", True)
    content.setMaximumWidth(width - SCROLL_BAR)
    content.setStyleSheet(RETURN_PRESSES)
    rows = QVBoxLayout(content)
    rows.setContentsMargins(MARGIN, 18, MARGIN - SCROLL_BAR, 24)
    rows.setSpacing(6)
    scroll = QScrollArea(widgetResizable=True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setProperty("panel", True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setWidget(content)
    outer = QVBoxLayout(page)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(scroll)
    return rows, scroll
