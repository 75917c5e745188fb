"""Lay out and ink a draft: shaped like the writer's own text, each token in ink of its own."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, pairwise

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QGlyphRun,
    QPainter,
    QTextLayout,
    QTextLine,
    QTextOption,
)

from app.documents.text import utf16_length
from app.editor.gap_layout import space_after, text_option
from engine.protocol.events import Token

NOISE_INK = 0.16
"""Share of the full ink that pure noise is drawn with; the most certain draft reaches 1."""
CERTAIN_NATS = 0.5
"""A token surer than this hardly changes any more."""
FADE_OUT = 0.3
"""The most ink that a token whose text stays loses from one frame to the next: nothing flashes."""
_NEUTRAL = "aeionrstlu"


def ink(token: Token, position: int) -> float:
    """Share of full ink, 0 … 1, by how certain a position is: exp(-entropy), the inverse of perplexity."""
    certainty = math.exp(-max(token.entropy, 0.0))
    grain = 0.16 * (position * 0.618034 % 1)
    strength = NOISE_INK + grain * (1 - certainty) + 0.7 * certainty
    return min(1.0, strength + 0.14) if token.accepted or token.pinned else min(strength, 0.86)


def is_sure(token: Token) -> bool:
    return token.entropy < CERTAIN_NATS


def sure_beginning(tokens: Sequence[Token]) -> int:
    """So many tokens at the beginning hardly change any more."""
    return next((n for n, token in enumerate(tokens) if not is_sure(token)), len(tokens))


def legible(token: Token, metrics: QFontMetricsF) -> str:
    """The token's text with what a developing draft must not show replaced by neutral Latin letters.

    Glyphs from fallback fonts would change the line height, control characters the line; a line break counts
    only once its token is accepted. The length in UTF-16 units may change: nothing here is kept.
    """
    text = token.text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_legible(char, token.accepted or token.pinned, metrics) for char in text)


def _legible(char: str, accepted: bool, metrics: QFontMetricsF) -> str:
    if char == "\n":
        return "\n" if accepted else " "
    if char.isspace():
        return " "
    if unicodedata.category(char)[0] in "CM" or not metrics.inFontUcs4(ord(char)):
        return _NEUTRAL[ord(char) % len(_NEUTRAL)]
    return char


def line_rects(layout: QTextLayout, start: int, end: int) -> list[QRectF]:
    """Of the text between two UTF-16 units of the layout, line by line."""
    rects = []
    begins_at = layout.lineForTextPosition(max(0, start)).lineNumber() if layout.lineCount() else 0
    for number in range(begins_at, layout.lineCount()):
        line = layout.lineAt(number)
        if line.textStart() >= end:
            break
        first, last = max(start, line.textStart()), min(end, line.textStart() + line.textLength())
        if first < last:
            edges = sorted(line.cursorToX(unit)[0] for unit in (first, last))  # type: ignore[index]
            rects.append(QRectF(edges[0], line.y(), edges[1] - edges[0], line.height()))
    return rects


class DraftText:
    """A draft's text laid out at one width, exactly as the document will lay it out once it is kept.

    pieces: display text per token, `\\n` between paragraphs. lead: the text of the caret's line before the
    draft, laid out with it and never drawn. Positions are px below the top of the lead's first line.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        font: QFont,
        option: QTextOption,
        width: float,
        margin: float,
        line_height: float,
        lead: str = "",
    ) -> None:
        self._lines: list[_Line] = []  # the lead's own included
        self._layouts: list[tuple[QTextLayout, list[int], int]] = []
        """Each paragraph's, the token of each of its UTF-16 units, and where these begin in the draft's."""
        self._bottoms = [0.0] * (len(pieces) + 1)  # for each token; the last one is the lead's, -1
        owners: list[int] = []
        for index, piece in enumerate(pieces):
            owners += [index] * utf16_length(piece)
        y, start = 0.0, 0
        for index, paragraph in enumerate("".join(pieces).split("\n")):
            head = lead if index == 0 else ""
            layout = QTextLayout(head + paragraph, font)
            layout.setTextOption(text_option(option, head + paragraph))
            end = start + utf16_length(paragraph)
            of_layout = [-1] * utf16_length(head) + owners[start:end]
            self._layouts.append((layout, of_layout, start - utf16_length(head)))
            y = self._lay_out(layout, of_layout, y, width, margin)
            start = end + 1
            self.height = y
            y += space_after(head + paragraph, line_height)
        self.line_bottoms = [line.bottom for line in self._lines]

    def _lay_out(
        self, layout: QTextLayout, owners: list[int], y: float, width: float, margin: float
    ) -> float:
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(margin, y))
            self._lines.append(_Line(line, owners, y))
            y += line.height()
            start = line.textStart()
            for owner in owners[start : start + line.textLength()]:
                self._bottoms[owner] = y
        layout.endLayout()
        return y

    def rects_of(self, tokens: Collection[int]) -> list[QRectF]:
        """Of these tokens' text, line by line."""
        rects: list[QRectF] = []
        for layout, owners, _ in self._layouts:
            for wanted, run in groupby(range(len(owners)), key=lambda unit: owners[unit] in tokens):
                if wanted:
                    units = list(run)
                    rects += line_rects(layout, units[0], units[-1] + 1)
        return rects

    def rects_between(self, start: int, end: int) -> list[QRectF]:
        """Of the draft's text between two of its UTF-16 units, line by line."""
        parts = (line_rects(layout, start - begin, end - begin) for layout, _, begin in self._layouts)
        return [rect for rects in parts for rect in rects]

    def unit_at(self, place: QPointF) -> int:
        """The UTF-16 unit of the draft's text that is nearest."""
        lines = [
            (layout.lineAt(number), begin)
            for layout, _, begin in self._layouts
            for number in range(layout.lineCount())
        ]
        line, begin = min(lines, key=lambda each: abs(each[0].rect().center().y() - place.y()))
        unit = line.xToCursor(place.x(), QTextLine.CursorPosition.CursorOnCharacter)
        return max(0, begin + min(unit, line.textStart() + line.textLength() - 1))

    def bottom_of(self, token: int) -> float:
        """Bottom of the last line that the token stands on; 0 where it has no text."""
        return self._bottoms[token]

    def paint(
        self,
        painter: QPainter,
        origin: QPointF,
        inks: Sequence[float],
        ink_colour: QColor,
        paper: QColor,
        clip: QRectF,
    ) -> None:
        """Draw the lines that `clip` shows some of; inks: share of full ink per token."""
        pens = _shades(paper.rgb(), ink_colour.rgb())
        top, bottom = clip.top() - origin.y(), clip.bottom() - origin.y()
        shown = -1
        for line in self._lines:
            if line.top < bottom - 0.5 and line.bottom > top + 0.5:
                for owner, run in line.runs():
                    level = round(32 * inks[owner])
                    if level != shown:
                        painter.setPen(pens[level])
                        shown = level
                    painter.drawGlyphRun(origin, run)


class _Line:
    """owners: the token of each UTF-16 unit of the layout's text, or -1."""

    def __init__(self, line: QTextLine, owners: list[int], top: float) -> None:
        self._line = line
        self._owners = owners
        self.top, self.bottom = top, top + line.height()
        self._runs: list[tuple[int, QGlyphRun]] | None = None

    def runs(self) -> list[tuple[int, QGlyphRun]]:
        """Each token's glyphs. A ligature is its first character's. Made once, if the line is ever drawn."""
        if self._runs is None:
            self._runs = list(self._split())
        return self._runs

    def _split(self) -> Iterator[tuple[int, QGlyphRun]]:
        flags = QTextLayout.GlyphRunRetrievalFlag
        shapes = flags.RetrieveGlyphIndexes | flags.RetrieveGlyphPositions
        runs = self._line.glyphRuns(-1, -1, shapes | flags.RetrieveStringIndexes)
        if any(run.isRightToLeft() for run in runs):  # Qt's string indexes are 0 there
            start = self._line.textStart()
            for owner, span in groupby(
                range(start, start + self._line.textLength()), self._owners.__getitem__
            ):
                units = list(span)
                if owner >= 0:
                    yield from ((owner, r) for r in self._line.glyphRuns(units[0], len(units), shapes))
            return
        for run in runs:
            font, glyphs, places = run.rawFont(), run.glyphIndexes(), run.positions()
            marks = [self._owners[index] for index in run.stringIndexes()]
            changes = [at for at in range(1, len(marks)) if marks[at] != marks[at - 1]]
            for first, end in pairwise((0, *changes, len(marks))):
                if marks[first] >= 0:
                    part = QGlyphRun()
                    part.setRawFont(font)
                    part.setGlyphIndexes(glyphs[first:end])
                    part.setPositions(places[first:end])
                    yield marks[first], part


@lru_cache(maxsize=4)
def _shades(paper: int, ink_colour: int) -> tuple[QColor, ...]:
    """From bare paper to full ink in 32 steps; colours as 0xAARRGGBB."""
    return tuple(mix(QColor(paper), QColor(ink_colour), level / 32) for level in range(33))


def mix(paper: QColor, ink_colour: QColor, share: float) -> QColor:
    """The colour that `share` of ink on this paper has."""
    pairs = (
        (paper.red(), ink_colour.red()),
        (paper.green(), ink_colour.green()),
        (paper.blue(), ink_colour.blue()),
    )
    return QColor(*(round(low + (high - low) * share) for low, high in pairs))
