"""A Finding: a part of a settled draft that the writer should look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.protocol.requests import Span

MANY = 6
"""So many findings are told one by one."""


@dataclass(frozen=True)
class Finding:
    kind: Literal["glitch", "fact"]
    """What is broken and can be drafted anew; what the writer's text does not say."""
    span: Span
    reason: str
    """For the writer, in a few words."""


def facts_texts(findings: Sequence[Finding]) -> tuple[str, str]:
    """Under a settled draft; and where there is little room."""
    count = sum(finding.kind == "fact" for finding in findings)
    if not count:
        return "Check facts.", "Check facts."
    return f"Check facts: {count} not from your text", f"Check facts: {count}"


def summary(findings: Sequence[Finding]) -> str:
    """In a sentence or two; empty without any."""
    glitches = sum(finding.kind == "glitch" for finding in findings)
    facts = len(findings) - glitches
    told = []
    if glitches:
        told.append("One glitch is marked." if glitches == 1 else f"{glitches} glitches are marked.")
    if facts:
        told.append(f"{facts} of its facts {'is' if facts == 1 else 'are'} not from your text.")
    return " ".join(told)


def details(text: str, findings: Sequence[Finding]) -> list[str]:
    """A line for each. text: what they were found in."""
    lines = [
        f"“{text[finding.span.start : finding.span.end]}”: {finding.reason[:1].lower()}{finding.reason[1:]}."
        for finding in findings
    ]
    return lines if len(lines) <= MANY else [*lines[: MANY - 1], f"And {len(lines) - MANY + 1} more."]


def reasons_at(findings: Sequence[Finding], span: Span) -> str:
    """What was found in that part of the text."""
    found = [each.reason for each in findings if each.span.start < span.end and span.start < each.span.end]
    return ". ".join(dict.fromkeys(found))
