"""Passages of a text: whole words, what stays in them, and the gaps that a writer left."""

import pytest
from PySide6.QtGui import QTextCursor, QTextDocument
from PySide6.QtWidgets import QApplication

from app.documents.text import set_document_text, text_between, utf16_length
from app.editor.passages import crosses_a_fence, protected, whole_words, writer_gaps
from engine.protocol.requests import Span

pytestmark = pytest.mark.usefixtures("qapp")


def selection(marked: str) -> QTextCursor:
    """In a document of this text, what stands between ⟦ and ⟧."""
    start, end = marked.index("⟦"), marked.index("⟧") - 1
    document = QTextDocument(QApplication.instance())
    text = marked.replace("⟦", "").replace("⟧", "")
    set_document_text(document, text)
    cursor = QTextCursor(document)
    cursor.setPosition(utf16_length(text[:start]))
    cursor.setPosition(utf16_length(text[:end]), QTextCursor.MoveMode.KeepAnchor)
    return cursor


@pytest.mark.parametrize(
    ("marked", "passage"),
    [
        ("The fe⟦rry was la⟧te.", "ferry was late"),
        ("The⟦ ferry was late ⟧again.", "ferry was late"),
        ("⟦The ferry.⟧", "The ferry."),
        ("The ⟦ferry⟧.", "ferry"),
        ("I d⟦on⟧’t know", "don’t"),
        ("A\n⟦\n  B c\n\n⟧D", "B c"),
        ("🦊⟦🦊 so it is 🦊⟧🦊", "🦊 so it is 🦊"),
        ("🦊🦊 ca⟦fé⟧s", "cafés"),
        ("cafe\u0301⟦ no⟧", "no"),
        ("ca⟦fe⟧\u0301 no", "cafe\u0301"),
        ("他⟦说⟧你好", "说"),
        ("שלום ע⟦ול⟧ם", "עולם"),
        ("On⟦e.\nTw⟧o.", "One.\nTwo"),
        ("e\u00a0⟦\u00a0x\u00a0⟧", "x"),
    ],
)
def test_a_selection_is_taken_in_whole_words(marked: str, passage: str) -> None:
    found = whole_words(selection(marked))
    assert found is not None
    assert text_between(found.document(), found.selectionStart(), found.selectionEnd()) == passage


@pytest.mark.parametrize("marked", ["⟦⟧word", "a⟦ \n\u00a0\t⟧b", "a ⟦🦊🌊⟧", "⟦…—!?⟧", "⟦\n\n⟧"])
def test_white_space_emoji_and_punctuation_are_no_passage(marked: str) -> None:
    assert whole_words(selection(marked)) is None


@pytest.mark.parametrize(
    ("marked", "crosses"),
    [
        ("A ⟦b.\n```\nx⟧\n```", True),
        ("```\nx⟦y\n```\nAfter⟧", True),
        ("⟦A\n```\nx\n```\nB⟧", False),
        ("```\n⟦x = 1\ny = 2⟧\n```", False),
        ("```\nx⟦y\n```\nProse.\n```\nz⟧w\n```", True),  # from the one block into the next
        ("```\nx\n```\n⟦Prose.⟧\n```\nz\n```", False),
        ("⟦````\n```\n````⟧", False),
        ("```\n⟦~~~⟧\n```", False),
        ("⟦~~~\n```\n~~~⟧ b", True),  # no fence ends with a word
        ("⟦~~~\n```\n~~~⟧", False),
        ("⟦```x``` in a line⟧", False),
        ("    ⟦```\nx⟧", False),  # indented code
        ("```py⟦thon\nx = 1⟧\n```", True),
        ("```\nx\n⟦``⟧`", True),
        ("⟦A b⟧\n```\nno end", False),
        ("A b\n```\nno ⟦end⟧", False),
        ("A ⟦b\n```\nno end⟧", True),
    ],
)
def test_half_a_code_block(marked: str, crosses: bool) -> None:
    assert crosses_a_fence(selection(marked)) is crosses


HELD = [
    ("She said “come home” to Clara Jones in Paris.", "“come home”|Clara|Jones|Paris"),
    ("Yesterday Clara met Émile in London.", "Clara|Émile|London"),
    ("Clara walked home. Then Clara slept.", "Clara|Clara"),
    ("Dort stand er mit Anna, und die alte Frau sah das Haus.", "Anna"),
    ("Die Katze sah eine Maus im Haus.", ""),
    ("Er wohnt in München und zahlt 3.500 € seit dem 12. März 2024.", "München|3.500|12. März 2024|März"),
    ("Elle est née le 12 mars 1999 à Lyon, dit-il.", "12 mars 1999|Lyon"),
    ("Привет, она Анна и живёт в Москве.", "Анна|Москве"),
    ("He spoke with Dr. Smith and J. R. Brown of NASA about iPhone apps.", "Dr|Smith|J|R|Brown|NASA|iPhone"),
    ("I think that I’m late, and I'd go.", ""),
    ("This is what I said.", ""),
    ("The Long Way Home Of A Man", ""),
    ("THE WHOLE OF IT", ""),
    ("At 9:30 it cost $1,200.50 or −5 or 15% of ½.", "9:30|$1,200.50|−5|15%|½"),
    ("the 3rd since the 1980s, in v2.0.1", "3rd|1980s|v2.0.1"),
    ("他说「你好」，然后在2024年3月5日读『书』。", "「你好」|2024年3月5日|『书』"),
    ("価格は１２３円です", "１２３"),
    ("see https://example.org/a_b?c=d. or mail me@x.org, ok", "https://example.org/a_b?c=d|me@x.org"),
    ("see [a link](http://x.y) and ![it](a.png)", "[a link](http://x.y)|![it](a.png)"),
    ("use `x = 1` and **bold** and _it_ and *it*, a_b", "`x = 1`|**|**|_|_|*|*"),
    ("# a\n- be\n1. sea\n> dee\nee-ef", "#|-|1.|>"),
    ("a <b>word</b> of it, 3 < 4", "<b>|</b>|3|4"),
    ("so\n```py\nCode = 1\n```\nand more", "```py\nCode = 1\n```"),
    ("so\n````\n```\n````\nand", "````\n```\n````"),
    ("er rief „so war es“ und »so auch« sowie ‚dies‘ aus", "„so war es“|»so auch«|‚dies‘"),
    ("il dit « bonjour » et part", "« bonjour »"),
    ("the 'single' one and ‘it’s so’ don't", "'single'|‘it’s so’"),
    ("and “so it goes", "“so it goes"),
    ("it goes” and ends", "it goes”"),
    ("leave [[the date]] open", "[[the date]]"),
]


@pytest.mark.parametrize(("passage", "held"), HELD)
def test_what_stays(passage: str, held: str) -> None:
    found = [passage[span.start : span.end] for span in protected(passage)]
    assert list(dict.fromkeys(found)) == list(dict.fromkeys(filter(None, held.split("|"))))


@pytest.mark.parametrize("passage", ["“Come home.”", "Clara", "12 March 2024", "NASA, 5 %", "`code`"])
def test_nothing_stays_where_there_is_nothing_else(passage: str) -> None:
    assert protected(passage, "We saw ", " again.") == ()


def test_the_text_around_tells_what_is_a_name() -> None:
    passage = "Clara slept. Later it rained."
    assert protected(passage) == ()
    held = protected(passage, "I saw Clara. ", " And later it was dry, Later said.")
    assert [passage[span.start : span.end] for span in held] == ["Clara"]
    assert protected("Ann and he", "I met ") == (Span(0, 3),)


def test_gaps_that_the_writer_left() -> None:
    text = "🦊 a [[the date]] b [[]]\n  [[ how it went… ]]  \n[[no end\n[[[x]]] wo[[rd]]s [[a\nb]]"
    document = selection(f"⟦⟧{text}").document()
    gaps = list(writer_gaps(document))
    assert [(gap.note, gap.fills_its_line) for gap in gaps] == [
        ("the date", False),
        ("", False),
        ("how it went", True),
        ("x", False),
        ("rd", False),
    ]
    for gap in gaps:
        whole = text_between(document, gap.start, gap.end)
        assert (whole[:2], whole[-2:]) == ("[[", "]]")


@pytest.mark.parametrize(
    ("passage", "numbers"),
    [
        ("Sales went down by ten percent in twenty-one towns, often.", ["ten", "twenty-one"]),
        ("Es waren zwölf Gäste und dreihundert Stühle, kein Wunder.", ["zwölf", "dreihundert"]),
        ("Es kamen zwei Gäste.", ["zwei"]),
        ("Nous avons vu deux bateaux.", ["deux"]),
        ("Vimos dos barcos.", ["dos"]),
        ("The tent was lit at an attentive hour.", []),
    ],
)
def test_numbers_in_words_stay(passage: str, numbers: list[str]) -> None:
    held = [passage[span.start : span.end] for span in protected(passage)]
    assert [words for words in held if words in numbers or not numbers] == numbers
