"""A draft as it looks in the page: shaped like the writer's own text, each token in ink of its own."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QGlyphRun,
    QPainter,
    QTextLayout,
    QTextOption,
)

from app.editor.layout import space_after
from engine.events import Token

NOISE_INK = 0.16
"""Share of the full ink that pure noise is drawn with; the most certain draft reaches 1."""
FADE_OUT = 0.3
"""The most ink that a token whose text stays loses from one frame to the next: nothing flashes."""
_NEUTRAL = "aeionrstlu"


def ink(token: Token, position: int) -> float:
    """Share of full ink, 0 … 1, by how certain a position is: exp(-entropy), the inverse of perplexity."""
    certainty = math.exp(-max(token.entropy, 0.0))
    grain = 0.16 * (position * 0.618034 % 1)
    strength = NOISE_INK + grain * (1 - certainty) + 0.7 * certainty
    return min(1.0, strength + 0.14) if token.accepted or token.pinned else min(strength, 0.86)


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


def utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


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
        self.line_bottoms: list[float] = []
        """Bottom of each line, the lead's own lines included."""
        self._runs: list[list[QGlyphRun]] = [[] for _ in pieces]
        self._tops: list[list[float]] = [[] for _ in pieces]
        owners = [index for index, piece in enumerate(pieces) for _ in range(utf16_length(piece))]
        paragraphs = "".join(pieces).split("\n")
        y, start = 0.0, 0
        for index, paragraph in enumerate(paragraphs):
            head = lead if index == 0 else ""
            layout = QTextLayout(head + paragraph, font)
            layout.setTextOption(option)
            y = self._lay_out(layout, y, width, margin)
            skip = utf16_length(head)
            self._collect(layout, [-1] * skip + owners[start : start + utf16_length(paragraph)])
            start += utf16_length(paragraph) + 1
            self.height = y
            y += space_after(head + paragraph, line_height)

    def _lay_out(self, layout: QTextLayout, y: float, width: float, margin: float) -> float:
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(margin, y))
            y += line.height()
            self.line_bottoms.append(y)
        layout.endLayout()
        return y

    def _collect(self, layout: QTextLayout, owners: list[int]) -> None:
        """Give each glyph to the token of its first character: a ligature is drawn once."""
        flags = QTextLayout.GlyphRunRetrievalFlag
        wanted = flags.RetrieveGlyphIndexes | flags.RetrieveGlyphPositions | flags.RetrieveStringIndexes
        for run in layout.glyphRuns(-1, -1, wanted):
            font, glyphs, places = run.rawFont(), run.glyphIndexes(), run.positions()
            marks = [owners[index] for index in run.stringIndexes()]
            changes = [at for at in range(1, len(marks)) if marks[at] != marks[at - 1]]
            for first, end in pairwise((0, *changes, len(marks))):
                owner = marks[first]
                if owner >= 0:
                    part = QGlyphRun()
                    part.setRawFont(font)
                    part.setGlyphIndexes(glyphs[first:end])
                    part.setPositions(places[first:end])
                    self._runs[owner].append(part)
                    self._tops[owner].append(places[first].y())

    def bottom_of(self, token: int) -> float:
        """Bottom of the last line that the token has ink on; 0 where it has none."""
        if not self._tops[token]:
            return 0.0
        baseline = self._tops[token][-1]
        return next((bottom for bottom in self.line_bottoms if bottom >= baseline), self.height)

    def paint(
        self,
        painter: QPainter,
        origin: QPointF,
        inks: Sequence[float],
        ink_colour: QColor,
        paper: QColor,
        clip: QRectF,
    ) -> None:
        """Draw the glyphs of all tokens whose baseline lies in `clip`; inks: share of full ink per token."""
        pens = _shades(paper.rgb(), ink_colour.rgb())
        top, bottom = clip.top() - origin.y(), clip.bottom() - origin.y()
        shown = -1
        for runs, tops, strength in zip(self._runs, self._tops, inks, strict=True):
            level = round(32 * strength)
            for run, baseline in zip(runs, tops, strict=True):
                if top <= baseline <= bottom:
                    if level != shown:
                        painter.setPen(pens[level])
                        shown = level
                    painter.drawGlyphRun(origin, run)


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
