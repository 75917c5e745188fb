"""What can be said of whose the words of a text are."""

from __future__ import annotations

from collections import Counter

from app.provenance.paragraphs import UNKNOWN


def share(part: int, whole: int) -> str:
    """In per cent; what is more than nothing is never told as nothing, nor what is less than all as all."""
    percent = round(100 * part / whole) if whole else 0
    if part and not percent:
        return "under 1 %"
    return "over 99 %" if percent == 100 and part < whole else f"{percent} %"


def drafted(owners: Counter[str]) -> int:
    """How many of these words were."""
    return owners.total() - owners[UNKNOWN]


def statement(name: str, words: int, owners: Counter[str], version: str, date: str) -> list[str]:
    """Its paragraphs. owners: of the words that are not all the writer's."""
    counts = [f"{share(count, words)} with “{owner}”" for owner, count in owners.most_common() if owner]
    by = "" if len(counts) != 1 else f" with “{next(owner for owner in owners if owner)}”"
    told = f"{share(drafted(owners), words)} of the words of “{name}” were drafted by Mezzotint{by}: "
    told += f"{drafted(owners):,} of {words:,}."
    if len(counts) > 1:
        told += f" That is {', '.join(counts[:-1])} and {counts[-1]}."
    found = [
        told,
        "A word counts as drafted while all its letters stand as Mezzotint wrote them; one that was changed "
        "by a letter does not. Of a passage drafted anew, the words that stayed are whose they were.",
    ]
    if unknown := owners[UNKNOWN]:
        found.append(
            f"{share(unknown, words)} of the words ({unknown:,}) came from elsewhere: they were pasted from "
            "another program, or written in one. Whose they are cannot be told; they do not count as drafted."
        )
    return [
        *found,
        "This is what Mezzotint knows on this computer. It does not know of drafts that were kept on another "
        "one or before it counted, nor of drafted words that were typed off by hand.",
        f"Counted by Mezzotint {version} on {date}.",
    ]
