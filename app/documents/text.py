"""Text into a QTextDocument and out of it, with nothing changed on the way.

Qt makes one paragraph mark of whatever it takes for a line's end (LF, CR LF, CR, U+2029, U+FDD0, U+FDD1), and
`toPlainText()` turns no-break spaces into spaces. So the ending that most lines have is a property of the
document, and a line that ends otherwise has its ending in the format of the block after it, where editing,
undo and redo carry it along; a new line gets that of the line it was split from. Half of a surrogate pair
cannot be kept: PySide drops it; and it reads U+FEFF or U+FFFE at a string's start as a byte order.
"""

from __future__ import annotations

import re
from collections import Counter

from PySide6.QtGui import QTextCursor, QTextDocument, QTextFormat

LINE_END = re.compile("\r\n|[\n\r\u2029\ufdd0\ufdd1]")
_PARAGRAPH_MARK = "\u2029"
_MAIN_END = "mezzotint_line_end"
_MIXED = "mezzotint_mixed_line_ends"
_OWN_END = int(QTextFormat.Property.UserProperty) + 1
_NOT_TEXT = re.compile("[\0\ufeff\ufffe]")


def insertable(text: str) -> str:
    """Without what a text file cannot hold or Qt takes for a byte order."""
    return _NOT_TEXT.sub("", text)


def set_document_text(document: QTextDocument, text: str) -> None:
    """Replace all of the text; the document is unmodified then and its undo history empty."""
    ends = LINE_END.findall(text)
    main = Counter(ends).most_common(1)[0][0] if ends else "\n"
    document.setPlainText("." + LINE_END.sub("\n", text))
    document.setProperty(_MAIN_END, main)
    document.setProperty(_MIXED, ends.count(main) != len(ends))
    document.setUndoRedoEnabled(False)
    cursor = QTextCursor(document)
    cursor.setPosition(1, QTextCursor.MoveMode.KeepAnchor)
    cursor.removeSelectedText()  # deleteChar() would take a combining mark along
    if document.property(_MIXED):
        _mark_blocks(document, ends, main)
    document.setUndoRedoEnabled(True)
    document.setModified(False)


def change_document_text(document: QTextDocument, text: str) -> None:
    """Make it this text in one undo step that touches only what differs: cursors elsewhere stay."""
    from app.documents.differences import differences  # the first paint does not need it

    ends = LINE_END.findall(text)
    if document.blockCount() == 1 and ends:
        document.setProperty(_MAIN_END, ends[0])
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    before, after = document.toRawText().replace(_PARAGRAPH_MARK, "\n"), LINE_END.sub("\n", text)
    position = 0
    for old, new in differences(before, after):
        if old != new:
            cursor.setPosition(position)
            cursor.setPosition(position + utf16_length(old), QTextCursor.MoveMode.KeepAnchor)
            cursor.insertText("." + new)
            cursor.setPosition(position)
            cursor.setPosition(position + 1, QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
        position += utf16_length(new)
    main = document.property(_MAIN_END) or "\n"
    if document.property(_MIXED) or any(end != main for end in ends):
        document.setProperty(_MIXED, True)
        _mark_blocks(document, ends, main)
    cursor.endEditBlock()


def document_text(document: QTextDocument) -> str:
    """The text with each line's own ending: what belongs into the file."""
    raw = document.toRawText()
    main = document.property(_MAIN_END) or "\n"
    if not document.property(_MIXED):
        return raw.replace(_PARAGRAPH_MARK, main)
    lines = raw.split(_PARAGRAPH_MARK)
    pieces = [lines[0]]
    block = document.firstBlock().next()
    for line in lines[1:]:
        pieces += (block.blockFormat().property(_OWN_END) or main, line)
        block = block.next()
    return "".join(pieces)


def _mark_blocks(document: QTextDocument, ends: list[str], main: str) -> None:
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    block = document.firstBlock().next()
    for end in ends:
        block_format = block.blockFormat()
        if end != (block_format.property(_OWN_END) or main):
            cursor.setPosition(block.position())
            block_format.setProperty(_OWN_END, end)
            cursor.setBlockFormat(block_format)
        block = block.next()
    cursor.endEditBlock()


def text_between(document: QTextDocument, start: int, end: int) -> str:
    """The text between two UTF-16 positions, `\\n` between paragraphs."""
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor.selectedText().replace("\u2029", "\n")


def utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)
