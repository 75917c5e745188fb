"""Presets: instructions that the writer keeps as text files, one each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from app.documents.atomic_file import read_ordinary

_MOST_BYTES = 8000
_POLITE = (
    "Write the reply to this message, as customer service would, in its language. Be brief and concrete."
)
BUILT_IN = {
    "1 Continue": "Go on from here, in the same voice and tense.",
    "2 Reply to this message, politely": f"{_POLITE} Be friendly and answer what was asked.",
    "3 Reply to this message, apologising": f"{_POLITE} Apologise once and say what happens next.",
    "4 Reply to this message, refusing": f"{_POLITE} Refuse kindly, give the reason, offer what is possible.",
    "5 Report from these notes": "Write these notes out as a report in whole sentences. Add no facts.",
    "6 Story": "Go on with the story: show, with concrete details, what happens next.",
    "7 Code for the fenced block": "Write only the code that belongs in the fenced block, in the block’s "
    "language: no prose around it, no fence. Explain in comments at the most.",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    name: str
    """Its file's, which the list is sorted by."""
    instruction: str
    """Empty where the file cannot be read."""


def presets_folder() -> Path:
    return platformdirs.user_config_path("mezzotint", appauthor=False) / "presets"


def read_presets(folder: Path) -> list[Preset]:
    """The built-in ones are written where there is no folder yet; from then on all are the writer's."""
    if not folder.exists():
        try:
            folder.mkdir(parents=True)
            for name, instruction in BUILT_IN.items():
                (folder / f"{name}.txt").write_text(instruction + "\n", encoding="utf-8")
        except OSError as error:
            _log.info("The presets could not be written: %s", error)
            return [Preset(name, instruction) for name, instruction in BUILT_IN.items()]
    return [Preset(path.stem, _instruction(path)) for path in sorted(folder.glob("*.txt"))]


def _instruction(path: Path) -> str:
    """In one line."""
    try:
        data = read_ordinary(path)
        return " ".join(data.decode("utf-8-sig").split()) if len(data) <= _MOST_BYTES else ""
    except (OSError, UnicodeDecodeError) as error:
        _log.info("The preset %s cannot be read: %s", path, error)
        return ""
