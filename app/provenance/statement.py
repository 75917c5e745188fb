"""What can be said of whose the words of a text are."""

from __future__ import annotations


def share(part: int, whole: int) -> str:
    """In per cent; what is more than nothing is never told as nothing, nor what is less than all as all."""
    percent = round(100 * part / whole) if whole else 0
    if part and not percent:
        return "under 1 %"
    return "over 99 %" if percent == 100 and part < whole else f"{percent} %"
