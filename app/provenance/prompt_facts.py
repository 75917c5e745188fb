"""What is told of a prompt: how long it is, what is in it, what was left out and why."""

from __future__ import annotations

from app.provenance.sent_text import Sent
from engine.protocol.events import Ready


def prompt_facts(sent: Sent | None, ready: Ready | None) -> str:
    """In sentences."""
    if sent is None or (prompt := sent.prompt) is None:
        return "Not known yet." if ready else "Not known until a model is loaded."
    did, were = ("is", "are") if sent.draft is None else ("was", "were")
    budget = f" of at most {prompt.budget_tokens:,}" if prompt.budget_tokens else ""
    where = ready.capabilities.where if ready else "this computer"
    told = [f"{prompt.prompt_tokens:,} tokens{budget}: all that the model {did} given, on {where}."]
    if sent.is_selection:
        told.append(f"Of the text, only what {did} selected.")
    elif prompt.cut_chars:
        left_out = sent.parts[0].selectionStart() if sent.parts else prompt.cut_chars
        told.append(
            f"The first {left_out:,} characters of the text {were} left out, to a paragraph’s end if one is "
            "near: with them it would be too long. “Context” in the settings makes more room."
        )
    elif sent.place.before.strip():
        told.append(f"All of the text before the caret {did} in it.")
    else:
        told.append(f"There {did} no text before the caret.")
    if prompt.after_chars:
        told.append(f"Of the text behind, {prompt.after_chars:,} characters {were} in it.")
    if sent.place.joins_after:
        told.append("The draft itself begins from the passage, and ends with words of the text behind.")
    return " ".join(told)
