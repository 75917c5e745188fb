"""The timeline of a replay: a slider whose groove is the chart of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QFont,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QSlider, QStyle, QWidget

from app.history.replay.trace import Trace

HEIGHT_PX, LEAST_PX = 38, 120
_EDGE_PX, _HANDLE_PX = 7.0, 5.0
_KEY_PX, _LEGEND_PX, _ROW_PX = 18, 11, 18
SURE, SETTLED = "how sure the model is", "words settled"


class Timeline(QSlider):
    """Drag, click, arrows, Home, End: a step of the trace."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setAccessibleName("Steps")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumSize(LEAST_PX, HEIGHT_PX)
        self.setMaximumHeight(HEIGHT_PX)
        self.setPageStep(4)
        self._sure: Sequence[float] = ()
        self._settled: Sequence[float] = ()
        self._begins: Sequence[int] = ()
        """Steps that begin a canvas, the first one's aside."""

    def show_trace(self, trace: Trace) -> None:
        nats = [entropy for entropy, _ in trace.measures]
        most = max(nats, default=0.0) or 1.0
        self._sure = [1 - entropy / most for entropy in nats]
        self._settled = [share for _, share in trace.measures]
        canvases = [step.canvas for step in trace.steps]
        self._begins = [n for n in range(1, len(canvases)) if canvases[n] != canvases[n - 1]]
        self.setRange(0, len(trace.steps) - 1)
        told = _told(self._sure, self._settled)
        self.setAccessibleDescription(told)
        self.setToolTip(told)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, HEIGHT_PX)

    # ---------------------------------------------------------------- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._go_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._go_to(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002
        self.setSliderDown(False)

    def _go_to(self, event: QMouseEvent) -> None:
        room = round(self.width() - 2 * _EDGE_PX)
        at = round(event.position().x() - _EDGE_PX)
        from_right = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        self.setValue(QStyle.sliderValueFromPosition(0, self.maximum(), at, room, from_right))

    # ---------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        role, palette = QPalette.ColorRole, self.palette()
        chart = QRectF(self.rect()).adjusted(_EDGE_PX, 4, -_EDGE_PX, -_HANDLE_PX - 2)
        accent, ink, quiet = palette.color(role.Accent), palette.color(role.Text), palette.color(role.Dark)
        painter.setPen(QPen(palette.color(role.Mid), 1))
        painter.drawLine(chart.bottomLeft(), chart.bottomRight())
        for begin in self._begins:
            x = self._x(begin, chart)
            painter.drawLine(QPointF(x, chart.top()), QPointF(x, chart.bottom()))
        for shares, colour in ((self._sure, ink), (self._settled, accent)):
            colour.setAlphaF(0.75)
            painter.setPen(QPen(colour, 1.5))
            painter.drawPolyline(
                QPolygonF([QPointF(self._x(n, chart), self._y(s, chart)) for n, s in enumerate(shares)])
            )
        x = self._x(self.value(), chart)
        accent.setAlphaF(1.0)
        painter.setPen(QPen(accent, 1))
        painter.drawLine(QPointF(x, chart.top()), QPointF(x, chart.bottom()))
        painter.setPen(QPen(ink, 2) if self.hasFocus() else QPen(quiet, 0.5))
        painter.setBrush(accent)
        painter.drawEllipse(QPointF(x, chart.bottom()), _HANDLE_PX, _HANDLE_PX)

    def _x(self, step: int, chart: QRectF) -> float:
        return chart.left() + chart.width() * step / max(1, self.maximum())

    def _y(self, share: float, chart: QRectF) -> float:
        return chart.bottom() - chart.height() * share


class Legend(QWidget):
    """What the two lines of the chart are, one below the other or in a row."""

    def __init__(self, *, in_a_row: bool) -> None:
        super().__init__()
        self._in_a_row = in_a_row
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        widths = [rect.right() for rect in self._places()]
        return QSize(ceil(max(widths)), _ROW_PX if self._in_a_row else HEIGHT_PX)

    def _places(self) -> tuple[QRectF, QRectF]:
        """Of the two texts."""
        metrics = QFontMetrics(self._font())
        sure, settled = (metrics.horizontalAdvance(text) + 8 for text in (SURE, SETTLED))
        if self._in_a_row:
            return (
                QRectF(_KEY_PX, 0, sure, _ROW_PX),
                QRectF(2 * _KEY_PX + sure, 0, settled, _ROW_PX),
            )
        half = HEIGHT_PX / 2
        return QRectF(_KEY_PX, 0, sure, half), QRectF(_KEY_PX, half, settled, half)

    def _font(self) -> QFont:
        font = self.font()
        font.setPixelSize(_LEGEND_PX)
        return font

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        role, palette = QPalette.ColorRole, self.palette()
        painter.setFont(self._font())
        colours = palette.color(role.Text), palette.color(role.Accent)
        for text, colour, place in zip((SURE, SETTLED), colours, self._places(), strict=True):
            painter.fillRect(QRectF(place.left() - _KEY_PX, round(place.center().y()) - 1, 12, 1.5), colour)
            painter.setPen(palette.color(role.Dark))
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, text)


def _told(sure: Sequence[float], settled: Sequence[float]) -> str:
    """The chart in words."""
    if not sure:
        return ""
    return (
        f"{SURE.capitalize()}: {sure[0]:.0%} at the first step, {sure[-1]:.0%} at the last one. "
        f"{SETTLED.capitalize()}: {settled[0]:.0%} at the first step, {settled[-1]:.0%} at the last one."
    )
