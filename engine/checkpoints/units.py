"""Numbers of bytes, and precisions, as text."""

from __future__ import annotations

PRECISION_NAMES: dict[str, str] = {
    "fp32": "32-bit",
    "bf16": "full precision",
    "fp8": "8-bit",
    "4-bit": "4-bit",
    "4-bit-tight": "tight 4-bit",
    "int8": "8-bit",
    "int4": "4-bit",
}
"""Of each Precision, as sentences have it."""


def memory_text(count: int) -> str:
    """As card makers count: 2**30 bytes are a GB."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def disk_text(count: int) -> str:
    """As disks and downloads are counted."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
