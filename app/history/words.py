"""What is told of a draft in the history, in words."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QDateTime, QLocale

from app.history.record import DraftRow


def when_text(at: str) -> str:
    """Of a time in UTC: where the writer is, without what goes without saying."""
    try:
        when = datetime.fromisoformat(at).astimezone()
    except ValueError:
        return at
    now = datetime.now().astimezone()
    if when.date() == now.date():
        return f"{when:%H:%M}"
    form = "d MMM, HH:mm" if when.year == now.year else "d MMM yyyy, HH:mm"
    shown = QDateTime.fromSecsSinceEpoch(int(when.timestamp()))
    return QLocale(QLocale.Language.English).toString(shown, form)


def state_of(row: DraftRow) -> str:
    return "kept" if row.kept else "not kept"
