"""Names of a model's files and folders."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

RECORD = "download.json"
PARTIAL, TRASH, LOCK = ".partial", ".trash-", ".lock"
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\..*)?", re.IGNORECASE)
"""What Windows takes for no file."""
LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
# What a model needs beside its weights and their index.
SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    *LICENCES,
)


def plain_name(name: str) -> bool:
    """Whether a name from elsewhere is that of a file or folder right here, and not one of ours."""
    return (
        bool(name)
        and name == Path(name).name
        and not name.startswith(".")
        and not name.casefold().endswith((PARTIAL, LOCK, ".", " "))
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        and not set(name) & set('<>:"/\\|?*')
        and not _DEVICE.fullmatch(name)
    )


def name_of(folder: Path) -> str:
    """What the model in it is called: the Hub client names its folders by commits, below the model's."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--")
    return folder.name
