"""Tokenize text with a checkpoint's own tokenizer and chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from engine.protocol.errors import weights_broken

_CONTENT = "\ue000"


class Tokenizer:
    """Text is data: what looks like a special token in it is encoded letter by letter.

    chats: whether there is a chat template; turn: what it puts before and behind a message, thinking off, up
    to where the answer begins; end_id: what ends a text, in a chat what the template puts behind an answer.
    """

    def __init__(self, folder: Path) -> None:
        """Raises weights-broken."""
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            self.chats: bool = self._tokenizer.chat_template is not None
            if self.chats:
                self.turn, self.end_id = self._turn()
            else:
                self.turn, self.end_id = ("", ""), int(self._tokenizer.eos_token_id)
        except Exception as error:  # the library has no common error for a broken tokenizer
            message = f"The tokenizer or the configuration in {folder} cannot be read."
            raise weights_broken(message, str(error)) from error

    def _turn(self) -> tuple[tuple[str, str], int]:
        asked = {"role": "user", "content": _CONTENT}
        turn = self._around([asked], add_generation_prompt=True, enable_thinking=False)
        _, end = self._around([{"role": "user", "content": "?"}, {"role": "assistant", "content": _CONTENT}])
        return turn, self.encode_template(end)[0]

    def _around(self, messages: list[dict[str, str]], **options: Any) -> tuple[str, str]:
        """What the template puts before and behind the content that is marked."""
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, **options)
        before, behind = text.split(_CONTENT)
        return before, behind

    def encode(self, text: str) -> list[int]:
        """No special token is recognised or added."""
        return self._encode(text, split_special_tokens=True)

    def encode_template(self, text: str) -> list[int]:
        """Special tokens are recognised, none is added."""
        return self._encode(text, split_special_tokens=False)

    def _encode(self, text: str, *, split_special_tokens: bool) -> list[int]:
        return self._tokenizer.encode(  # type: ignore[no-any-return]
            text, add_special_tokens=False, split_special_tokens=split_special_tokens, verbose=False
        )

    @property
    def start_ids(self) -> list[int]:
        """What the tokenizer puts before a text; never empty, since the encoder has to read something."""
        around = self._tokenizer.encode("", add_special_tokens=True)
        before = [index for index in around if index != self._tokenizer.eos_token_id]
        return before or [self._tokenizer.bos_token_id or self._tokenizer.pad_token_id or 0]
