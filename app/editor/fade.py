"""The fade of a draft's ink from one frame to the next. Pure: whoever draws brings the time."""

from __future__ import annotations

from app.editor.draft_layout import FADE_OUT, NOISE_INK

FADE_S = 0.14
SETTLING_INK = 0.6
"""A settled draft is at least this dark at once."""


class Fade:
    """Ink is a share of the full text colour, 0 … 1, for each piece of text. Times are in seconds."""

    def __init__(self) -> None:
        self.duration_s = FADE_S
        self.pieces: list[str] = []
        self._from: list[float] = []
        self._to: list[float] = []
        self._began_s = 0.0

    def show(self, pieces: list[str], inks: list[float], now_s: float, most_loss: float = FADE_OUT) -> None:
        """Fade to the next frame. A piece whose text stays loses little of its ink, most_loss, and a new one
        begins faint: nothing flashes.
        """
        old_pieces, old_inks = self.pieces, self.inks(now_s)
        self.pieces, self._to, self._from, self._began_s = pieces, [], [], now_s
        for index, (piece, target) in enumerate(zip(pieces, inks, strict=True)):
            if index < len(old_pieces) and old_pieces[index] == piece:
                self._from.append(old_inks[index])
                self._to.append(max(target, old_inks[index] - most_loss))
            else:
                self._from.append(NOISE_INK / 2)
                self._to.append(target)

    def settle(self, pieces: list[str], inks: list[float], now_s: float) -> None:
        """Fade to what is settled."""
        start = max(SETTLING_INK, *old) if (old := self.inks(now_s)) else 1.0
        self.pieces, self._from, self._to = pieces, [min(start, ink) for ink in inks], inks
        self._began_s = now_s

    def inks(self, now_s: float) -> list[float]:
        share = 1.0 if self.is_over(now_s) else (now_s - self._began_s) / self.duration_s
        return [start + (end - start) * share for start, end in zip(self._from, self._to, strict=True)]

    def is_over(self, now_s: float) -> bool:
        return now_s - self._began_s >= self.duration_s
