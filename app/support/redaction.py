"""Take names and texts out of a log and a stack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.installation import ROOT

_QUOTED = re.compile("“[^”\n]*”")
# As Python writes a value, but for a plain word, and the names of files, which are paths.
_VALUE = re.compile(
    r"""(?<![\w\\])(?<!File\ )
    (?: '(?![a-z0-9_.-]{0,40}'|NoneType') (?:\\.|[^'\\\n])* ' | "(?:\\.|[^"\\\n])*" )(?!\w)""",
    re.VERBOSE,
)
# From a path's beginning to the line's or the quotation's end: a name may hold any sign.
_PATH = re.compile(r"""(?<!\w)(?:[A-Za-z]:[\\/]|[\\/~])[^\n"'“”]*""")
_STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:(?:.*? engine: (.*))?")
"""A line of the log begins so. 1: what the engine's process has said."""
_TRACE = re.compile(
    r"""\s*File\ "|Traceback\ |Thread\ 0x|Current\ thread|Fatal\ Python\ error|Extension\ modules:
    |During\ handling|The\ above\ exception|\s*<no\ Python\ frame>|\s*Garbage-collecting
    |[\w.]+(?:Error|Exception|Warning|Interrupt|Group|Exit)\b""",
    re.VERBOSE,
)
_RAISED = re.compile(r"[\w.]+(?:Error|Exception)\b")


def redacted_lines(lines: Iterable[str]) -> Iterator[str]:
    """What an error says may go on for several lines, with anything in them: those go."""
    raised = False
    """By the engine's process, of which each line is logged on its own."""
    for line in lines:
        stamp = _STAMPED.match(line)
        said = stamp[1] if stamp else line
        if said is None:  # the app's own
            raised = False
        elif _TRACE.match(said):
            raised = stamp is not None and _RAISED.match(said) is not None
        elif raised or not stamp:
            continue
        yield redacted(line)


def redacted(line: str) -> str:
    """Paths and what is quoted go; the places in the app's own code stay."""
    for own in (ROOT / "app", ROOT / "engine", Path(os.__file__).parent):
        line = line.replace(str(own), own.name)
    return _PATH.sub("(path)", _VALUE.sub("'…'", _QUOTED.sub("“…”", line)))
