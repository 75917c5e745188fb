"""What differs between two texts, to be read."""

from __future__ import annotations

from html import escape

from PySide6.QtGui import QGuiApplication, QPalette

from app.documents.differences import by_phrases, differences

_CONTEXT_CHARS = 200
"""Of what is alike, so much is shown beside what differs."""


def shown_differences(old: str, new: str, legend: tuple[str, str], same: str) -> str:
    """HTML. legend: what is called what stands in the old text alone, which is struck through, and in the new
    one alone, which is underlined; same: what is said where nothing differs.
    """
    palette = QGuiApplication.palette()  # a stylesheet has changed the window's
    mark = palette.color(QPalette.ColorRole.Link).name()
    pale = palette.color(QPalette.ColorRole.PlaceholderText).name()
    pairs = by_phrases(differences(old, new))
    shown = "".join(_alike(a) if a == b else _struck(a, pale) + _marked(b, mark) for a, b in pairs)
    if all(a == b for a, b in pairs):
        shown = escape(same)
    told = f"<p>{_struck(legend[0], pale)} · {_marked(legend[1], mark)}</p>"
    return f'{told}<p style="white-space: pre-wrap">{shown}</p>'


def _struck(text: str, colour: str) -> str:
    return f'<s style="color: {colour}">{escape(text)}</s>'


def _marked(text: str, colour: str) -> str:
    return f'<u style="color: {colour}">{escape(text)}</u>'


def _alike(text: str) -> str:
    """Its ends, beside what differs."""
    if len(text) > 2 * _CONTEXT_CHARS:
        text = f"{text[:_CONTEXT_CHARS]} […] {text[-_CONTEXT_CHARS:]}"
    return escape(text)
