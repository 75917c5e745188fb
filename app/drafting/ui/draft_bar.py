"""The bar under the current draft: progress, Keep, Retry, Discard, variants."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from app.drafting.controller import DraftController
from app.drafting.draft_actions import DraftActions
from app.drafting.draft_keys import DraftKeys
from app.drafting.draft_session import DraftSession, DraftState
from app.drafting.finding import details, facts_texts, summary
from app.editor.page import Page
from app.editor.passages import protected
from app.widgets.labels import ElidedLabel, quiet, quiet_label, tool_button
from app.widgets.progress_line import ProgressLine
from app.worker.model_session import ModelSession

EDGE_PX = 8
"""Between the bar and the page's edge, where its own place is out of view."""


class DraftBar(QFrame):
    """The variants where there are several; step and Stop while they develop; then Keep and Retry."""

    def __init__(
        self, page: Page, drafts: DraftController, actions: DraftActions, keys: DraftKeys, model: ModelSession
    ) -> None:
        super().__init__(page.viewport())
        self._page = page
        self._drafts = drafts
        self._actions = actions
        self._keys = keys
        self._model = model
        self.setObjectName("draftBar")
        self.setFont(QApplication.font())
        self.setAccessibleName("Draft")
        self.setCursor(Qt.CursorShape.ArrowCursor)
        row = QHBoxLayout(self)
        row.setContentsMargins(9, 4, 9, 4)
        row.setSpacing(4)
        self.progress = ProgressLine()
        self.label = quiet(ElidedLabel(), "Progress")
        self.label.setContentsMargins(8, 0, 4, 0)
        self.keep = _button(actions.keep)
        self.keep.setProperty("primary", True)
        self.retry = _button(actions.retry)
        self.pin = _button(actions.pin)
        self.mend = _button(actions.mend)
        self.ask = _button(actions.instruct)
        self.replay = _button(actions.replay)
        self.keep_all = _button(actions.keep_all)
        self.discard_all = _button(actions.discard_all)
        self.previous = _step_button(actions.previous, "‹")
        self.variant = quiet_label("Which draft")
        self.next = _step_button(actions.next, "›")
        self.names = _button(actions.names)
        self.names.setText("Names stay")
        self.names.setCheckable(True)
        self.stop = _button(actions.stop)
        self.wait = tool_button("Wait", "Go on waiting", drafts.wait_longer)
        self.restart = tool_button("Restart", "Start the engine afresh", drafts.restart_engine)
        self.discard = _button(actions.discard)
        self.go_to = tool_button("", "Go to the draft", drafts.go_to_draft)
        self.facts = quiet_label("What to do with it")
        self.facts.setContentsMargins(4, 0, 4, 0)
        self.text = QLabel(self, textFormat=Qt.TextFormat.PlainText)
        """For screen readers: what is settled; too small to be seen."""
        self.text.setFixedSize(1, 1)
        parts: list[QWidget] = [self.previous, self.variant, self.next, self.progress, self.label, self.keep]
        parts += [self.pin, self.retry, self.mend, self.ask, self.replay, self.names]
        parts += [self.wait, self.restart, self.stop]
        parts += [self.discard, self.keep_all, self.discard_all, self.facts, self.go_to]
        for widget in parts:
            row.addWidget(widget)
        drafts.changed.connect(self.on_changed)
        keys.changed.connect(self.place)
        page.geometry_changed.connect(self.place)
        self.hide()

    def on_changed(self) -> None:
        draft, stalled = self._drafts.current, self._drafts.stalled
        if draft is None:
            self.hide()
            return
        settled = draft.state is DraftState.SETTLED
        several = draft.count > 1
        shown: dict[QWidget, bool] = {
            self.label: not settled,
            self.keep: settled,
            self.pin: self._actions.pin.isEnabled(),
            self.mend: self._actions.mend.isEnabled(),
            self.names: settled and bool(protected(draft.placement.passage)),
            self.previous: several,
            self.variant: several,
            self.next: several,
            self.stop: draft.state is DraftState.DENOISING and not stalled,
            self.wait: stalled,
            self.restart: stalled,
        }
        for widget, visible in shown.items():
            widget.setVisible(visible)
        actions = self._actions
        for button, action in (
            (self.keep, actions.keep),
            (self.pin, actions.pin),
            (self.retry, actions.retry),
        ):
            button.setText(action.iconText())
            button.setToolTip(action.toolTip())
        self.setToolTip(_hint(draft))
        self.names.setChecked(draft.holds_names)
        found = draft.words.findings if draft.words else ()
        self.setAccessibleDescription("\n".join(filter(None, (draft.text, summary(found)))))
        self.text.setText(draft.text or "")
        self.text.setVisible(settled)
        widest = f"{'8' * len(str(draft.count))} of {'8' * len(str(draft.count))}"
        self.variant.setMinimumWidth(self.variant.fontMetrics().horizontalAdvance(widest))
        self.variant.setText(f"{draft.shown_variant + 1} of {draft.count}")
        self.label.setText("The engine is not moving" if stalled else self._progress_text(draft))
        self.progress.set_share(self._share(draft))
        self.label.setMinimumWidth(self._label_width(draft))
        self.place()
        self.show()
        if (focused := self.focusWidget()) and focused.hasFocus() and not focused.isVisible():
            self._page.setFocus()  # the keys must not end at what has gone

    def _progress_text(self, draft: DraftSession) -> str:
        if draft.state is DraftState.DENOISING:
            share = f" · {draft.step_share:.0%}" if draft.step_share else ""
            return f"{_part(draft)}step {draft.step} of up to {draft.max_steps}{share}"
        if self._model.loading is not None:
            return "Waiting for the model"
        if draft.read_share:
            return f"Reading your text · {draft.read_share:.0%}"
        others = (other.state for other in self._drafts.overlays)
        return "Waiting for its turn" if DraftState.DENOISING in others else "Reading your text"

    def _label_width(self, draft: DraftSession) -> int:
        """Room for any step, so that the buttons stand still."""
        steps = str(draft.max_steps)
        text = f"{_part(draft)}step {'8' * len(steps)} of up to {steps}" + " · 88 %" * bool(draft.step_share)
        margins = self.label.contentsMargins()
        return self.label.fontMetrics().horizontalAdvance(text) + margins.left() + margins.right() + 2

    def _share(self, draft: DraftSession) -> float:
        if draft.state is DraftState.DENOISING:
            return (draft.step + draft.step_share) / max(1, draft.max_steps)
        return self._model.loading.fraction if self._model.loading is not None else 0.0

    def place(self) -> None:
        """Under the draft's last line, aligned with the column; where that is out of view, at the lower edge
        of the page, or at the upper one if the caret is there.
        """
        if (draft := self._drafts.current) is None:
            return
        view, left = self._page.viewport().rect(), round(self._page.document().documentMargin())
        own_top = round(self._drafts.overlays[draft].geometry.bar_top)
        self._fit(draft, view.width() - left)
        lowest = view.height() - self.height() - EDGE_PX
        away = not 0 <= own_top <= lowest
        self.go_to.setText(f"Draft ready {'↓' if own_top > 0 else '↑'}" if draft.text else "")
        self.go_to.setVisible(
            away and bool(draft.text) and not self._drafts.overlays[draft].geometry.is_in_view()
        )
        self._fit(draft, view.width() - left)
        bar = QRect(left, lowest if away else own_top, min(self.width(), view.width() - left), self.height())
        if away and bar.intersects(self._page.cursorRect()):
            bar.moveTop(EDGE_PX)
        self.setGeometry(bar)

    def _fit(self, draft: DraftSession, room: int) -> None:
        """The keys are told only while they hold; what there is no room for goes."""
        held = self._keys.held
        told, told_shortly = facts_texts(draft.words.findings if draft.words else ())
        self.facts.setText(told)
        self.facts.setVisible(draft.text is not None)
        for button in (self.retry, self.ask):
            button.setVisible(draft.state is DraftState.SETTLED)
        self.replay.setVisible(self._actions.replay.isEnabled())
        several = len(self._drafts.overlays) > 1 and draft.text is not None
        self.keep_all.setVisible(several)
        self.discard_all.setVisible(several)
        self.progress.setVisible(draft.develops and not self._drafts.stalled)
        keep = self._actions.keep.iconText()
        self.keep.setText(f"{keep}  ↵" if held else keep)
        selects = self._actions.pin.isEnabled()
        self.pin.setText(f"{self._actions.pin.iconText()}  Space" if held else self._actions.pin.iconText())
        escapes = (held and not selects) or (draft.develops and self._drafts.at_caret is draft)
        self.discard.setText("Discard  Esc" if escapes else "Discard")
        self.adjustSize()
        if self.width() > room:
            self.facts.setText(told_shortly)
            self.adjustSize()
        folding = self.facts, self.progress, self.discard_all, self.keep_all, self.replay, self.ask, self.mend
        for widget in folding:
            if self.width() > room:
                widget.hide()
                self.label.setMinimumWidth(1)
                self.adjustSize()
        if self.width() > room:
            self.keep.setText(keep)
            self.pin.setText(self._actions.pin.iconText())
            self.discard.setText("Discard")
            self.adjustSize()
        if self.width() > room:
            self.retry.hide()
            self.adjustSize()


def _part(draft: DraftSession) -> str:
    """The canvas, behind the first."""
    return f"part {draft.canvas + 1}, " if draft.canvas else ""


def _hint(draft: DraftSession) -> str:
    """What else can be done with a settled draft, and what is known of it."""
    if draft.words is None or draft.shown is None:
        return ""
    lines = ["Click a word to pin it, drag to select. By keys: Ctrl+Shift+P, arrows, Space."]
    if draft.can_part:
        lines.append("Ctrl+Right keeps the next sentence.")
    if count := len(draft.words.of(draft.shown.corrected)):
        words = "1 word was" if count == 1 else f"{count} words were"
        lines.append(f"{words} corrected while it developed.")
    lines += details(draft.shown.text, draft.words.findings)
    return "\n".join(lines)


def _button(action: QAction) -> QToolButton:
    """Does what the action does. It is hidden where that cannot be done, not disabled, which would take the
    keys from it.
    """
    return tool_button(action.iconText(), action.toolTip(), action.trigger)


def _step_button(action: QAction, text: str) -> QToolButton:
    """Stands still, and is disabled at the end."""
    button = tool_button(text, action.toolTip(), action.trigger)
    button.setMinimumSize(28, 28)
    action.changed.connect(lambda: button.setEnabled(action.isEnabled()))
    return button
