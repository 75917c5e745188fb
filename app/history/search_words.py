"""The words of a text as the history's index holds them, and those of a query."""

from __future__ import annotations

import re
from functools import cache

_UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u3007\u3021-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9d\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff]"
)
"""Scripts that put no spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese."""
TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
"""Of SQLite's index: words in any script, with the marks that belong to their letters."""
_WORD = re.compile(r"[^\W_]")


@cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(_UNSPACED)  # takes 20 ms: the first paint does not need it


def indexed(text: str) -> str:
    """Each sign of a script without spaces is a word: what is looked for may begin anywhere."""
    return _unspaced().sub(r" \g<0> ", text)


def match_of(query: str) -> str:
    """What SQLite's index is asked: every word, in any order, where the last one may go on; empty where the
    query has none.
    """
    words = [" ".join(indexed(word).split()) for word in query.split() if _WORD.search(word)]
    return " ".join(f'"{_quoted(word)}"*' for word in words)


def like_of(query: str) -> str:
    """The same without an index: the query to the letter."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", query.strip()) + "%"


def _quoted(word: str) -> str:
    return word.replace('"', '""').replace("\0", " ")
