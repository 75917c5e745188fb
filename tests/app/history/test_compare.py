"""Which passage of a text stands for a draft."""

import pytest

from app.history.compare import passage_like

TEXT = (
    "The ferry was late again.\n\nClara sat on her suitcase and watched the lights.\n"
    "“There is always a boat,” he said.\n\n渡轮又迟到了，克拉拉坐在手提箱上。\n\nNobody came."
)


@pytest.mark.parametrize(
    ("draft", "passage"),
    [
        ("Clara sat on a suitcase. She watched the lights.", 2),
        ("“There’s always another boat,” he said.", 3),
        ("克拉拉坐在她的手提箱上。", 5),
        ("Quite another thing altogether.", None),
        ("", None),
    ],
)
def test_the_paragraph_with_the_same_words_is_found(draft: str, passage: int | None) -> None:
    assert passage_like(TEXT, draft) == ("" if passage is None else TEXT.split("\n")[passage])


def test_a_draft_of_several_paragraphs_is_found_as_several() -> None:
    draft = "Clara sat on her suitcase.\n\n“There is a boat,” he said."
    assert passage_like(TEXT, draft) == "\n".join(TEXT.split("\n")[2:4])


def test_nothing_is_like_a_draft_where_there_is_nothing() -> None:
    assert passage_like("", "Clara sat.") == passage_like("\n\n", "Clara sat.\n\nHe too.") == ""
