"""A draft that sharpens in place on a terminal."""

from __future__ import annotations

import shutil
import unicodedata
from typing import TextIO

from engine.protocol.events import Frame

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class TerminalView:
    """Draws frame over frame; what is not accepted yet is dim."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows = 0

    def show(self, frame: Frame) -> None:
        columns, lines = shutil.get_terminal_size()
        rows: list[str] = [""]
        used = 0
        for token in frame.tokens:
            for character in token.text:
                width = _width(character)
                if character == "\n" or used + width > columns:
                    rows.append("")
                    used = 0
                if width:
                    rows[-1] += character if token.accepted else f"{_DIM}{character}{_PLAIN}"
                    used += width
        self._draw([f"step {frame.step} of up to {frame.max_steps}", *rows][: max(1, lines - 1)])

    def clear(self) -> None:
        self._draw([])

    def _draw(self, rows: list[str]) -> None:
        up = f"\x1b[{self._rows}A" if self._rows else ""
        self._out.write(up + "\r\x1b[J" + "".join(row + "\n" for row in rows))
        self._out.flush()
        self._rows = len(rows)


def _width(character: str) -> int:
    """0 for what a terminal would obey rather than print."""
    if unicodedata.category(character)[0] == "C" or unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
