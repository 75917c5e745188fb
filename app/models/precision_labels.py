"""Labels of the precisions."""

from __future__ import annotations

import re

PRECISION_LABELS: dict[str, str] = {
    "auto": "Automatic",
    "fp32": "Full (fp32)",
    "bf16": "Full (bf16)",
    "fp8": "8-bit (FP8)",
    "4-bit": "4-bit",
    "4-bit-tight": "Tight 4-bit",
}
_IN_SENTENCES = {
    "fp32": "full (fp32)",
    "bf16": "full (bf16)",
    "fp8": "8-bit",
    "4-bit-tight": "tight 4-bit",
}


def with_precision_labels(text: str) -> str:
    """A text in which precisions are named as the engine names them."""
    for precision, name in _IN_SENTENCES.items():
        # Not within a path, and not where it is in words already.
        text = re.sub(rf"(?<![\w/\\.(-]){precision}(?![\w/\\-]|\.\w)", name, text)
    return text
