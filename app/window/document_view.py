"""The DocumentView: one document with its page and its drafts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.checks.draft_checks import DraftChecks
from app.documents.document import Document
from app.documents.recovery import RecoveryStore
from app.drafting.controller import DraftController
from app.drafting.draft_actions import DraftActions
from app.drafting.draft_commands import DraftCommands
from app.drafting.draft_keys import DraftKeys
from app.drafting.draft_picking import DraftPicking
from app.drafting.idle_unload import IdleUnload
from app.drafting.prefetch import Prefetch
from app.drafting.ui.draft_bar import DraftBar
from app.drafting.ui.draft_button import DraftButton
from app.drafting.ui.finding_hints import FindingHints
from app.drafting.ui.selection_bar import SelectionBar
from app.editor.page import Page
from app.history.recorder import Recorder
from app.history.replay.draft_replay import DraftReplay
from app.history.replay.tap import FrameTap
from app.history.store import HistoryStore
from app.provenance.clipboard import ClipboardWords
from app.provenance.drafts import DraftedWords
from app.provenance.keeper import ProvenanceKeeper
from app.provenance.sent_text import SentText
from app.provenance.tracker import Provenance
from app.provenance.ui.sent_band import SentBand
from app.provenance.ui.tint import Tint
from app.settings.store import SettingsStore
from app.widgets.theme import prose_font
from app.worker.engine_thread import EngineThread
from app.worker.model_session import ModelSession

if TYPE_CHECKING:
    from app.drafting.ui.instruction_line import InstructionLine
    from app.window.find_bar import FindBar

NARROWEST_PX = 560
LOWEST_PX = 40
"""A line of text, above a find bar and a message on a small screen."""


class DocumentView(QWidget):
    """What belongs to one text; the window around it shows its menus, its title and its state."""

    models_asked = Signal()
    """The writer wants to see the models."""

    def __init__(
        self,
        worker: EngineThread,
        model: ModelSession,
        settings: SettingsStore,
        recovery: RecoveryStore,
        history: HistoryStore,
    ) -> None:
        super().__init__()
        chosen = settings.current
        self.page = Page(prose_font(chosen.font_family, chosen.font_size_px))
        self.page.setMinimumSize(NARROWEST_PX, LOWEST_PX)  # the window's follows, with settings or without
        self.document = Document(self.page.document(), recovery, self)
        self.drafts = DraftController(self.page, worker, model, settings, self)
        self.tap = FrameTap(worker)
        self.recorder = Recorder(self.document, self.drafts, model, settings, history, self.tap, self)
        self.provenance = Provenance(self.page.document())
        self.keeper = ProvenanceKeeper(self.provenance, self.document)
        self.tint = Tint(self.page, self.provenance)
        ClipboardWords(self.page, self.provenance)
        self.commands = DraftCommands(self.page, model, settings, self.drafts)
        self.draft_keys = DraftKeys(self.page, self.drafts, self.commands)
        self.checks = DraftChecks(self.page, self.drafts, settings)
        self.picking = DraftPicking(self.page, self.drafts)  # its keys come before the draft's
        self.drafted_words = DraftedWords(self.provenance, self.drafts, self.picking, model)
        self.hints = FindingHints(self.page, self.drafts, self.picking)
        self.draft_actions = DraftActions(self.drafts, self.commands, self.picking, self)
        self.bar = DraftBar(self.page, self.drafts, self.draft_actions, self.draft_keys, model)
        self.button = DraftButton(self.page, self.drafts, self.commands)
        self.selection_bar = SelectionBar(self.page, self.draft_actions)
        self.prefetch = Prefetch(self.page, worker, model, settings, self.drafts)
        self.idle_unload = IdleUnload(self.page, model, settings, self.drafts)
        self.sent = SentText(self.page, self.drafts, worker, model)
        SentBand(self.page, self.sent)
        self.replay = DraftReplay(self.page, self.drafts, self.tap, settings, self.document.folder)
        self.draft_actions.replay.triggered.connect(self.replay.open)
        self._model = model
        self.draft_actions.instruct.triggered.connect(lambda: self.instruction_line.open())
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self.page)
        self.setFocusProxy(self.page)

    def set_narrowest(self, width: int) -> None:
        """px. At once."""
        self.page.setMinimumWidth(width)
        self._column.activate()

    @cached_property
    def instruction_line(self) -> InstructionLine:
        from app.drafting.ui.instruction_line import InstructionLine  # the first paint does not need it

        line = InstructionLine(self.page, self.drafts, self.commands, self._model)
        line.models_asked.connect(self.models_asked)
        return line

    @cached_property
    def find_bar(self) -> FindBar:
        from app.window.find_bar import WIDTH_PX, FindBar  # the first paint does not need it

        bar = FindBar(self.page)
        bar.closed.connect(self.page.setFocus)
        row = QHBoxLayout()
        row.setContentsMargins(24, 0, 24, 8)
        row.addStretch(1)
        row.addWidget(bar, WIDTH_PX)
        row.addStretch(1)
        self._column.addLayout(row)
        return bar
