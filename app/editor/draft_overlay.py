"""The draft painted beside the document, which it never touches."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QTextCursor, QTextLine

from app.editor.anchor import Anchor
from app.editor.draft_layout import FADE_OUT, NOISE_INK, DraftText, ink, legible, mix
from app.editor.placement import Join, JoinMode
from engine.protocol.events import Frame, Token

if TYPE_CHECKING:
    from app.editor.page import Page

NEAR_CHARACTERS = 1000
FRAME_INTERVAL_MS = 170
"""At most six whole frames a second (WCAG 2.3.1)."""
PLACEHOLDER = "Begin here."
FADE_MS = 140
FADE_TICK_MS = 33
CERTAIN_NATS = 0.5
"""A token surer than this makes the gap grow when it lies below it."""
BAR_SPACE_PX = 58
"""Room for the draft's bar under its last line."""


class DraftOverlay(QObject):
    """Shows one draft at an anchor that follows the writer's edits.

    begin → show_frame … → settle → clear. `changed` tells that its place or height may be another one.
    """

    changed = Signal()

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page = page
        self.settled_text: str | None = None
        self.settled_at = 0.0
        self.reduced_motion = False
        self._join = Join(JoinMode.INLINE, "\n", False)
        self._text: DraftText | None = None
        self._laid_out: tuple[object, ...] = ()
        """What the layout was made from."""
        self._pieces: list[str] = []
        self._from: list[float] = []
        self._to: list[float] = []
        self._lines = 0
        self._committed = self._standing = ""
        self._pending: Frame | None = None
        self._frame_timer = QTimer(self, singleShot=True, interval=FRAME_INTERVAL_MS)
        self._frame_timer.timeout.connect(self._on_frame_due)
        self._fade_began = 0.0
        self._fade_timer = QTimer(self, interval=FADE_TICK_MS)
        self._fade_timer.timeout.connect(self._on_fade_tick)
        self._anchor: Anchor | None = None

    # ---------------------------------------------------------------- life of a draft

    def begin(self, anchor: QTextCursor, reserved_lines: int) -> None:
        """Open the gap; reserved_lines: what such a draft usually takes."""
        self.clear()
        self._anchor = Anchor(anchor)
        self._page.setPlaceholderText("")
        self._join = self._page.text_context(anchor.position()).join
        self._lines = reserved_lines
        self._committed = self._standing = ""
        self.relayout()

    def restart(self) -> None:
        """The same place, a new draft: the gap stays as high as it is."""
        self.settled_text = None
        self._committed = self._standing = ""
        self._lines = self.line_count()
        self._show([], [])

    def show_frame(self, frame: Frame) -> None:
        """Show the newest frame, six times a second at the most."""
        if self.anchor is None or self.settled_text is not None:
            return
        self._pending = frame
        if frame.step:
            self._standing = self._committed + "".join(token.text for token in frame.tokens)
        if not self._frame_timer.isActive():
            self._on_frame_due()

    def commit(self, text: str) -> None:
        """A canvas is finished; what follows is drawn behind it."""
        self._committed += text
        self._standing, self._pending = self._committed, None  # a frame of that canvas is out of date

    def settle(self, text: str) -> None:
        """The draft as it will be kept; its gap takes its height."""
        if self.anchor is None:
            return
        self._pending = None
        self._frame_timer.stop()
        self.settled_text = text
        self.settled_at = monotonic()
        self._lines = 0
        self._show([text], [1.0])

    def clear(self) -> None:
        self._pending = None
        self._frame_timer.stop()
        self._fade_timer.stop()
        self._anchor = self._text = self.settled_text = None
        self._pieces, self._from, self._to = [], [], []
        self._page.page_layout.set_gap(None, 0)
        self._page.setPlaceholderText(PLACEHOLDER)
        self._page.viewport().update()
        self.changed.emit()

    def set_reduced_motion(self, reduced: bool) -> None:
        self.reduced_motion = reduced
        self._page.viewport().update()

    # ---------------------------------------------------------------- what the page asks

    @property
    def anchor(self) -> QTextCursor | None:
        """Where the draft stands; None without one."""
        return self._anchor.cursor if self._anchor else None

    def shown(self, text: str) -> str:
        """The model's text as it is shown and kept here."""
        return self._join.shown(text, *self._line())

    def standing(self) -> str:
        """What stands in the gap now, in the model's own characters; nothing while it is all noise."""
        return self.shown(self._standing)

    def prompt(self) -> tuple[str, str]:
        """The text before the draft, as the draft finds it, and the text after it."""
        assert self.anchor is not None
        around = self._page.text_context(self.anchor.position())
        return around.before + self.separator(), around.after

    def separator(self) -> str:
        """What stands between the text before the draft and the draft."""
        return self._join.insertion("", *self._line())

    def insertion(self) -> str:
        """What keep puts in at the anchor."""
        return self._join.insertion(self.settled_text or "", *self._line())

    def _line(self) -> tuple[str, str]:
        """The anchor's paragraph before and after it, as far as it matters for how the draft joins it."""
        assert self.anchor is not None
        block, place = self.anchor.block(), self.anchor.position()
        start, end = block.position(), block.position() + block.length() - 1
        before = self._page.text_between(max(start, place - NEAR_CHARACTERS), place)
        return before, self._page.text_between(place, min(end, place + NEAR_CHARACTERS))

    def _last_line(self) -> QTextLine:
        """The line of the page that an inline draft continues."""
        assert self.anchor is not None
        block = self.anchor.block()
        self._page.page_layout.blockBoundingRect(block)  # lays it out
        return block.layout().lineAt(block.layout().lineCount() - 1)

    @property
    def _mode(self) -> JoinMode:
        return self._join.mode(*self._line())

    def bar_top(self) -> float | None:
        """Where the bar goes: viewport px of its upper edge; None without a draft."""
        if self.anchor is None:
            return None
        return self._origin_y() + self._shown_height() + 10

    def is_in_view(self) -> bool:
        return self._rect().intersects(QRectF(self._page.viewport().rect()))

    def paint(self, painter: QPainter, clip: QRectF) -> None:
        if self.anchor is None:
            return
        theme = self._page.theme
        origin = QPointF(0, self._origin_y())
        if self._mode is JoinMode.WITHIN:
            self._paint_mark(painter)
        shown = QRectF(0, origin.y(), self._page.viewport().width(), self._shown_height())
        if not shown.intersects(clip):
            return
        if self.reduced_motion and self.settled_text is None:
            self._paint_placeholder(painter, shown)
        elif self._text is not None:
            self._text.paint(
                painter, origin, self._inks(), QColor(theme.ink), QColor(theme.paper), shown.intersected(clip)
            )

    def relayout(self) -> None:
        """Lay the draft out again if its width, its font or the line that it continues has changed."""
        if self.anchor is None:
            return
        page = self._page
        lead = self._lead() if self._mode is JoinMode.INLINE else ""
        margin = page.document().documentMargin()
        width = page.viewport().width() - 2 * margin
        laid_out = (self._pieces, page.font(), width, margin, page.line_height, lead)
        if self._text is None or laid_out != self._laid_out:
            option = page.document().defaultTextOption()
            self._text = DraftText(self._pieces, page.font(), option, width, margin, page.line_height, lead)
            self._laid_out = laid_out
            page.viewport().update()
        self._resize_gap()

    def _lead(self) -> str:
        """What stands before the draft on its first line, an input method's unfinished text included."""
        assert self.anchor is not None
        block, anchor, line = self.anchor.block(), self.anchor, self._last_line()
        unfinished = block.layout().preeditAreaText()
        if not unfinished:
            return self._page.text_between(block.position() + line.textStart(), anchor.position())
        text = self._page.text_between(block.position(), anchor.position()) + unfinished
        units = text.encode("utf-16-le", "surrogatepass")[2 * line.textStart() :]
        return units.decode("utf-16-le", "surrogatepass")

    # ---------------------------------------------------------------- frames and fades

    def _on_frame_due(self) -> None:
        frame, self._pending = self._pending, None
        if frame is None:
            return
        self._frame_timer.start()
        tokens = (Token(self._committed, 0.0, True, False), *frame.tokens)
        metrics = QFontMetricsF(self._page.font())
        pieces = [legible(token, metrics) for token in tokens]
        line = self._line()[0]
        _strip(
            pieces,
            leading=not self._join.in_code and (self._mode is JoinMode.NEW_PARAGRAPH or not line.strip()),
        )
        self._show(pieces, [ink(token, position) for position, token in enumerate(tokens)], tokens)

    def _show(self, pieces: list[str], inks: list[float], tokens: Sequence[Token] = ()) -> None:
        old_pieces, old_inks = self._pieces, self._inks()
        self._pieces, self._to, self._from = pieces, [], []
        for index, (piece, target) in enumerate(zip(pieces, inks, strict=True)):
            same = index < len(old_pieces) and old_pieces[index] == piece
            if self.settled_text is not None:
                start = max(0.6, *old_inks) if old_inks else 1.0
            elif same:
                start = old_inks[index]
                target = max(target, start - FADE_OUT)
            else:
                start = NOISE_INK / 2
            self._from.append(start)
            self._to.append(target)
        self._fade_began = monotonic()
        if not self.reduced_motion:
            self._fade_timer.start()
        self._page.viewport().update(self._rect().toAlignedRect())
        self.relayout()
        if tokens and self._text is not None:
            self._grow(tokens, self._text)

    def _grow(self, tokens: Sequence[Token], text: DraftText) -> None:
        """The gap grows by whole lines to hold what is certain, and never shrinks while developing."""
        sure = [
            i for i, token in enumerate(tokens) if token.entropy < CERTAIN_NATS and self._pieces[i].strip()
        ]
        bottom = max((text.bottom_of(index) for index in sure), default=0.0)
        lines = sum(line <= bottom for line in text.line_bottoms)
        if lines > self._lines:
            self._lines = lines
            self._resize_gap()

    def _inks(self) -> list[float]:
        if self.reduced_motion:
            return self._to
        share = min(1.0, (monotonic() - self._fade_began) * 1000 / FADE_MS)
        return [start + (end - start) * share for start, end in zip(self._from, self._to, strict=True)]

    def _on_fade_tick(self) -> None:
        if (monotonic() - self._fade_began) * 1000 >= FADE_MS:
            self._fade_timer.stop()
        self._page.viewport().update(self._rect().toAlignedRect())

    # ---------------------------------------------------------------- geometry

    def line_count(self) -> int:
        """Lines that the draft takes in the page."""
        return len(self._text.line_bottoms) if self._text is not None else 0

    def _offset(self) -> float:
        """Space between the anchor's paragraph and the first line of the draft."""
        if self._mode is JoinMode.NEW_PARAGRAPH and self._join.separator == "\n\n":
            return self._page.paragraph_space + self._page.line_height
        return self._page.paragraph_space

    def _origin_y(self) -> float:
        """Viewport y of the top of the laid-out text."""
        assert self.anchor is not None
        block = self.anchor.block()
        top = self._page.block_top(block)
        if self._mode is JoinMode.INLINE:
            return top + self._last_line().y()
        return top + self._page.page_layout.text_bottom(block) + self._offset()

    def _shown_height(self) -> float:
        """Height of the lines that are shown or reserved."""
        bottoms = self._text.line_bottoms if self._text is not None else []
        if self.settled_text is not None:
            return bottoms[-1] if bottoms else 0.0
        count = self._lines
        if count <= len(bottoms):
            return bottoms[count - 1] if count else 0.0
        return (bottoms[-1] if bottoms else 0.0) + (count - len(bottoms)) * self._page.line_height

    def _rect(self) -> QRectF:
        if self.anchor is None:
            return QRectF()
        return QRectF(0, self._origin_y(), self._page.viewport().width(), self._shown_height())

    def _resize_gap(self) -> None:
        assert self.anchor is not None
        layout = self._page.page_layout
        if self._mode is JoinMode.INLINE:
            height = max(0.0, self._shown_height() - self._last_line().height())
        else:
            height = self._offset() + self._shown_height()
        height += BAR_SPACE_PX
        changed = height != layout.gap_height or layout.anchor is not self.anchor
        layout.set_gap(self.anchor, height)
        self._page.sync_gap_scroll()
        if changed:
            self._page.viewport().update()
            self.changed.emit()

    # ---------------------------------------------------------------- marks

    def _paint_mark(self, painter: QPainter) -> None:
        """A caret-like mark where a draft shown below its paragraph will go in."""
        assert self.anchor is not None
        rect = self._page.cursorRect(self.anchor)
        x, bottom, half = rect.center().x(), rect.bottom() - 1, 5
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._page.theme.accent))
        painter.drawPolygon(
            [QPointF(x, bottom - half), QPointF(x + half, bottom + 2), QPointF(x - half, bottom + 2)]
        )
        painter.restore()

    def _paint_placeholder(self, painter: QPainter, shown: QRectF) -> None:
        """Reduced motion: still lines where the text will stand."""
        page = self._page
        height = page.line_height
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(mix(QColor(page.theme.paper), QColor(page.theme.ink), 0.1))
        margin = page.document().documentMargin()
        top = shown.bottom() - self._lines * height
        for line in range(self._lines):
            share = 0.62 if line + 1 == self._lines else 1.0
            left = (
                page.cursorRect(self.anchor or QTextCursor()).right() + 6
                if line == 0 and self._mode is JoinMode.INLINE
                else margin
            )
            width = max(0.0, (shown.width() - 2 * margin) * share - (left - margin))
            painter.drawRoundedRect(QRectF(left, top + (line + 0.38) * height, width, 0.3 * height), 3, 3)
        painter.restore()


def _strip(pieces: list[str], leading: bool) -> None:
    """Empty the white space at the end, and where `leading` also at the start, of a sequence of pieces."""
    ways = [(range(len(pieces) - 1, -1, -1), str.rstrip)]
    if leading:
        ways.append((range(len(pieces)), str.lstrip))
    for order, strip in ways:
        for index in order:
            pieces[index] = strip(pieces[index])
            if pieces[index]:
                break
