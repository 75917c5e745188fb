"""The instruction line: what a draft should say, before it is made or made again."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QObject, QRect, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QTextDocument
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLineEdit, QMenu, QToolButton

from app.drafting.controller import DraftController
from app.drafting.draft_commands import DraftCommands
from app.drafting.presets import presets_folder, read_presets
from app.drafting.ui.draft_bar import EDGE_PX
from app.editor.page import Page
from app.widgets.labels import tool_button
from app.worker.model_session import ModelSession

QUESTION = "What should it say?"
TAKES_NONE = "This model takes no instructions: it goes on from your text alone."
_MOST_CHARACTERS = 4000


class InstructionLine(QFrame):
    """At the caret, or in place of the current draft's bar. Enter drafts, Esc closes; what was written is
    there again for the same document.
    """

    models_asked = Signal()
    """The writer wants a model that takes instructions."""

    def __init__(
        self, page: Page, drafts: DraftController, commands: DraftCommands, model: ModelSession
    ) -> None:
        super().__init__(page.viewport())
        self._page = page
        self._drafts = drafts
        self._commands = commands
        self._model = model
        self._remembered: dict[str, str] = {}
        """By the documents' paths."""
        self.setObjectName("draftBar")
        self.setFont(QApplication.font())
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.field = QLineEdit(placeholderText=QUESTION, maxLength=_MOST_CHARACTERS)
        self.field.setAccessibleName(QUESTION)
        self.field.setFont(QApplication.font())
        self.field.returnPressed.connect(self._on_entered)
        self.menu = QMenu(self)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.presets = tool_button("Presets", "Presets")
        self.presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.presets.setMenu(self.menu)
        self.draft = tool_button("Draft  ↵", "Draft with this instruction", self._on_entered)
        self.draft.setProperty("primary", True)
        self.models = tool_button("See models", "See the models that take instructions", self._on_models)
        # Else a press on a button gives the page the focus, and closes the line before it is released.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.field)
        row = QHBoxLayout(self)
        row.setContentsMargins(9, 4, 9, 4)
        row.setSpacing(4)
        for part in (self.field, self.presets, self.draft, self.models):
            row.addWidget(part)
        model.changed.connect(self._show_what_can_be_done)
        page.geometry_changed.connect(self.place)
        drafts.changed.connect(self._on_drafts_changed)
        page.installEventFilter(self)
        self.hide()

    @property
    def is_taken(self) -> bool:
        """Whether the model takes instructions; assumed until it is known."""
        return self._model.ready is None or self._model.ready.capabilities.instructions

    def open(self) -> None:
        if draft := self._drafts.current:
            self._drafts.go_to_draft()
        asked = draft.instruction if draft else ""
        self.field.setText(asked or self._remembered.get(self._document, ""))
        self._show_what_can_be_done()
        self._page.ensureCursorVisible()
        self.show()
        self.place()
        self.raise_()
        self.field.setFocus()
        if self.is_taken:
            self.field.selectAll()

    def close_line(self) -> None:
        if self.isHidden():
            return
        if self.is_taken:
            self._remembered[self._document] = self.field.text()
        self.hide()
        self._page.setFocus()

    @property
    def _document(self) -> str:
        url = QTextDocument.MetaInformation.DocumentUrl
        return str(self._page.document().metaInformation(url))

    def _on_entered(self) -> None:
        if self.is_taken:
            self.close_line()
            self._commands.draft_as_asked(self.field.text().strip())

    def _on_models(self) -> None:
        self.close_line()
        self.models_asked.emit()

    def _on_drafts_changed(self) -> None:
        """What develops is waited for."""
        if (draft := self._drafts.current) and draft.develops:
            self.close_line()

    def _show_what_can_be_done(self) -> None:
        taken = self.is_taken
        if not taken:
            self.field.setText(TAKES_NONE)
        elif self.field.isReadOnly():
            self.field.setText(self._remembered.get(self._document, ""))
        self.field.setReadOnly(not taken)
        self.presets.setVisible(taken)
        self.draft.setVisible(taken)
        self.models.setVisible(not taken)

    def _fill_menu(self) -> None:
        self.menu.clear()
        folder = presets_folder()
        for preset in read_presets(folder):
            name = "&" + preset.name.replace("&", "&&")  # its first character is its key
            if preset.instruction:
                self.menu.addAction(name, partial(self._take, preset.instruction))
            else:
                self.menu.addAction(f"{name}.txt cannot be read").setEnabled(False)
        self.menu.addSeparator()
        open_folder = partial(QDesktopServices.openUrl, QUrl.fromLocalFile(str(folder)))
        self.menu.addAction("Change them, or add your own…", open_folder)

    def _take(self, instruction: str) -> None:
        self.field.setText(instruction)
        self.field.setFocus()

    def place(self) -> None:
        """Over the bar, or under the caret's line; above that where there is no room."""
        if self.isHidden():
            return
        view, left = self._page.viewport().rect(), round(self._page.document().documentMargin())
        caret, height = self._page.cursorRect(), self.sizeHint().height()
        top = caret.bottom() + EDGE_PX
        if draft := self._drafts.current:
            top = round(self._drafts.overlays[draft].geometry.bar_top)
        lowest = view.height() - height - EDGE_PX
        line = QRect(left, max(EDGE_PX, min(top, lowest)), view.width() - 2 * left, height)
        if line.intersects(caret):
            line.moveBottom(caret.top() - EDGE_PX)
        self.setGeometry(line)

    def event(self, event: QEvent) -> bool:
        """Enter with Ctrl is the line's too, which would draft without it."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            event.setAccepted(event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter))
            return event.isAccepted()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What the field has no use for is not the page's either."""
        if event.key() == Qt.Key.Key_Escape:
            self.close_line()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusIn:
            self.close_line()
        return False
