"""What a draft can be asked to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """How a draft is made. See DraftPlace for the shares."""

    label: str
    instruction: str = ""
    """For models that take one."""
    renoise_share: float = 1.0
    length_shares: tuple[float, ...] = ()
    """One draft each. With them the draft leads up to the text after it."""
    steps_share: float = 1.0
    length_tokens: int | None = None
    """Where there is no passage to measure."""
    key: str = ""

    @property
    def joins_after(self) -> bool:
        return bool(self.length_shares)


DRAFT = Verb("Draft paragraph")
# Keys: pOlish, Rephrase, reWrite, shorTen, eXpand; digits need Shift on some keyboards.
# Rephrase at the passage's own length: words that stay keep their distances only there (measured).
POLISH = Verb(
    "Polish",
    "Correct and smooth it; change as little as possible.",
    0.25,
    (1.0, 1.0, 1.0),
    1 / 6,
    key="Ctrl+Shift+O",
)
REPHRASE = Verb(
    "Rephrase", "Say the same in other words.", 0.6, (1.0, 1.0, 1.0, 1.0), 1 / 3, key="Ctrl+Shift+R"
)
REWRITE = Verb("Rewrite", "Write it anew.", 1.0, (1.0, 1.0, 0.8, 1.2), 1 / 2, key="Ctrl+Shift+W")
SHORTEN = Verb("Shorten", "Make it shorter.", 1.0, (0.8, 0.65, 0.5), 1 / 2, key="Ctrl+Shift+T")
EXPAND = Verb("Expand", "Say more.", 1.0, (1.3, 1.6, 2.0), 1 / 2, key="Ctrl+Shift+X")
OF_SELECTION = (POLISH, REPHRASE, REWRITE, SHORTEN, EXPAND)
BRIDGE = Verb(
    "Bridge", "Lead from the text before to the text after.", 1.0, (0.7, 1.0, 1.5), 1 / 2, length_tokens=20
)
FILL_IN_LINE = Verb("Fill", "", 1.0, (0.6, 0.3, 1.2), 1 / 2, length_tokens=16)
