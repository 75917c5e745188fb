"""Text into a QTextDocument and out of it, with nothing changed on the way.

Qt makes one paragraph mark of whatever it takes for a line's end (LF, CR LF, CR, U+2029, U+FDD0, U+FDD1), and
`toPlainText()` turns no-break spaces into spaces. So the ending that most lines have is a property of the
document, and a line that ends otherwise has its ending in the format of the block after it, where editing,
undo and redo carry it along; a new line gets that of the line it was split from. Half of a surrogate pair
cannot be kept: PySide drops it; and it reads U+FEFF or U+FFFE at a string's start as a byte order.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QObject
from PySide6.QtGui import QTextCursor, QTextDocument, QTextFormat

LINE_END = re.compile("\r\n|[\n\r\u2029\ufdd0\ufdd1]")
_ENDS = {
    "\n": "(?<!\r)\n",
    "\r\n": "\r\n",
    "\r": "\r(?!\n)",
    "\u2029": "\u2029",
    "\ufdd0": "\ufdd0",
    "\ufdd1": "\ufdd1",
}
"""Each with the pattern that finds it alone."""
_PARAGRAPH_MARK = "\u2029"
_MAIN_END = "mezzotint_line_end"
_OWN_END = int(QTextFormat.Property.UserProperty) + 1
_BYTE_ORDERS = ("\ufeff", "\ufffe")
_NOT_TEXT = re.compile("[\0\ufeff\ufffe]")


def insertable(text: str) -> str:
    """Without what a text file cannot hold or Qt takes for a byte order."""
    return _NOT_TEXT.sub("", text)


def set_document_text(document: QTextDocument, text: str) -> None:
    """Replace all of the text; the document is unmodified then and its undo history empty."""
    if former := document.findChild(_OwnEnds):
        former.setParent(None)
    counts = {end: text.count(end) for end in _ENDS}
    counts["\n"] -= counts["\r\n"]
    counts["\r"] -= counts["\r\n"]
    main = max(counts, key=lambda end: counts[end])
    others = [end for end in _ENDS if counts[end] and end != main]
    plain = text
    for end in ("\r\n", "\r", main, *others):
        plain = plain.replace(end, "\n")
    byte_order = plain[:1] in _BYTE_ORDERS
    document.setPlainText(f".{plain}" if byte_order else plain)
    document.setProperty(_MAIN_END, main)
    document.setUndoRedoEnabled(False)
    if byte_order:
        cursor_over(document, 0, 1).removeSelectedText()  # deleteChar() would take a combining mark along
    if others:
        _OwnEnds(document, _numbered(text, main, others))
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
    main, own_ends = document.property(_MAIN_END) or "\n", document.findChild(_OwnEnds)
    others = [end for end in _ENDS if end != main and end in ends]
    cursor.endEditBlock()
    if others or own_ends is not None:  # the ends have been told of the edits only now
        cursor.joinPreviousEditBlock() if before != after else cursor.beginEditBlock()
        (own_ends or _OwnEnds(document, {})).mark(_numbered(text, main, others), main)
        cursor.endEditBlock()


def _numbered(text: str, main: str, others: list[str]) -> dict[int, str]:
    """What ends otherwise than most, by the number of the line after it."""
    odd = sorted((found.start(), end) for end in others for found in re.finditer(_ENDS[end], text))
    numbered, number, place = {}, 0, 0
    for start, end in odd:
        number += text.count(main, place, start) + 1
        place = start + len(end)
        numbered[number] = end
    return numbered


def document_text(document: QTextDocument) -> str:
    """The text with each line's own ending: what belongs into the file."""
    raw, main = document.toRawText(), document.property(_MAIN_END) or "\n"
    own_ends = document.findChild(_OwnEnds)
    if own_ends is None:
        return raw.replace(_PARAGRAPH_MARK, main)
    lines, first = raw.split(_PARAGRAPH_MARK), 0
    pieces: list[str] = []
    for number, end in own_ends.find():
        pieces += (main.join(lines[first:number]), end)
        first = number
    return "".join((*pieces, main.join(lines[first:])))


class _OwnEnds(QObject):
    """The lines that end otherwise than most, found again without a walk over all of a long text.

    Qt tells of changes only in a document that has a layout, as an editor's has.
    """

    def __init__(self, document: QTextDocument, ends: dict[int, str]) -> None:
        """ends: of the line before the block of that number."""
        super().__init__(document)
        self._document = document
        self._places: list[QTextCursor] = []
        """What they select may hold such lines: each of them, and what has changed since."""
        self.mark(ends, "")
        document.contentsChange.connect(self._on_contents_change)

    def mark(self, ends: dict[int, str], main: str) -> None:
        """These lines end so, all others with main."""
        joined = QTextCursor(self._document)
        joined.beginEditBlock()
        for number in {number for number, _ in self.find()} | ends.keys():
            place = QTextCursor(self._document.findBlockByNumber(number))
            block_format = place.blockFormat()
            block_format.setProperty(_OWN_END, ends.get(number, main))
            place.setBlockFormat(block_format)
            self._places.append(place)
        joined.endEditBlock()

    def _on_contents_change(self, position: int, _removed: int, added: int) -> None:
        last = min(position + added, self._document.characterCount() - 1)
        self._places.append(cursor_over(self._document, position, last))

    def find(self) -> list[tuple[int, str]]:
        """In their order, by the number of the block after the line."""
        found: dict[int, str] = {}
        for place in self._places:
            block, last = self._document.findBlock(place.selectionStart()), place.selectionEnd()
            while block.isValid() and block.position() <= last:
                if end := block.blockFormat().property(_OWN_END):
                    found[block.blockNumber()] = end
                block = block.next()
        found.pop(0, None)  # no line is before it
        self._places = [QTextCursor(self._document.findBlockByNumber(number)) for number in found]
        return sorted(found.items())


def cursor_over(document: QTextDocument, start: int, end: int | None = None) -> QTextCursor:
    """A new cursor at a UTF-16 position, or with the text from there to the other one selected."""
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    if end is not None:
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def text_between(document: QTextDocument, start: int, end: int) -> str:
    """The text between two UTF-16 positions, `\\n` between paragraphs."""
    return cursor_over(document, start, end).selectedText().replace("\u2029", "\n")


def characters(text: str, units: int) -> int:
    """How many characters the first UTF-16 units are; half of a surrogate pair is none."""
    return (
        units if text.isascii() else len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))
    )


def utf16_length(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)
