"""What is told of a draft in the history, in words."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QDateTime, QLocale

from app.history.record import DraftRecord, DraftRow
from engine.checkpoints.units import PRECISION_NAMES
from engine.protocol.events import Ready


def when_text(at: str, *, whole: bool = False) -> str:
    """Of a time in UTC: where the writer is. whole: with what goes without saying."""
    try:
        when = datetime.fromisoformat(at).astimezone()
    except (ValueError, OverflowError, OSError):
        return at
    now = datetime.now().astimezone()
    if when.date() == now.date() and not whole:
        return f"{when:%H:%M}"
    form = "d MMM, HH:mm" if when.year == now.year and not whole else "d MMM yyyy, HH:mm"
    shown = QDateTime.fromSecsSinceEpoch(int(when.timestamp()))
    return QLocale(QLocale.Language.English).toString(shown, form)


def state_of(row: DraftRow) -> str:
    state = "kept" if row.kept else "not kept"
    return f"{state}, stopped" if row.stopped else state


def facts(record: DraftRecord, number: int) -> str:
    """Of that variant: where it was drafted, what was asked, and how: a line each."""
    variant = record.variants[number]
    kept = "Kept" if record.kept == number else "Not kept"
    instruction = record.instruction and f"“{record.instruction}”"
    stats = variant.stats
    precision = PRECISION_NAMES.get(record.precision, record.precision)
    lines = (
        (kept, when_text(record.at, whole=True)),
        (record.name, record.verb),
        (instruction,),
        (record.place and f"After “… {record.place}”",),
        (record.model, precision, record.device),
        (f"{stats.steps} steps" if stats else "Stopped", f"seed {variant.seed}"),
    )
    return "\n".join(filter(None, (" · ".join(filter(None, line)) for line in lines)))


def differs_from(record: DraftRecord, ready: Ready, count: int) -> tuple[str, str]:
    """Why a draft came out otherwise than it was: a message, and the reason."""
    then_in, now_in = (PRECISION_NAMES.get(each, each) for each in (record.precision, ready.precision))
    then = record.model, then_in, record.device
    now = ready.label, now_in, ready.device.name
    named = {
        name: f"{a or 'unknown'} then, {b} now"
        for name, a, b in zip(("model", "precision", "device"), then, now, strict=True)
        if a != b
    }
    if count != len(record.variants):
        named["drafts at once"] = f"{len(record.variants)} then, {count} now"
    reason = "; ".join(f"{name}: {told}" for name, told in named.items())
    same = "Model, seed and settings are the same; sums round otherwise beside other drafts or on more cores."
    return (
        "Drafted again with the same seed, it says something else.",
        f"What differs: {reason}." if named else same,
    )
