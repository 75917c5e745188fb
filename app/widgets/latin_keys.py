"""Shortcuts on a keyboard that has no Latin letters, such as a Russian or a Greek one alone."""

from __future__ import annotations

import sys
import unicodedata

from PySide6.QtCore import QCoreApplication, QKeyCombination, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenuBar, QWidget

_ROWS = {24: "QWERTYUIOP", 38: "ASDFGHJKL", 52: "ZXCVBNM"}
_LETTERS = {first + n: letter for first, row in _ROWS.items() for n, letter in enumerate(row)}
"""By the keys' numbers under X11 and Wayland; elsewhere the system itself tells the Latin letter."""
_COMMANDING = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier


def latin_key(event: QKeyEvent) -> Qt.Key | None:
    """The letter that stands at this place on a US keyboard, where Control or Alt is pressed with another
    script's: what Qt looks up itself as soon as a Latin layout is there beside.
    """
    letter = _LETTERS.get(event.nativeScanCode())
    if sys.platform != "linux" or letter is None or not event.modifiers() & _COMMANDING:
        return None
    own = chr(event.key()) if event.key() <= sys.maxunicode else ""
    is_of_another_script = own.isalpha() and not unicodedata.name(own, "LATIN").startswith("LATIN")
    return Qt.Key[f"Key_{letter}"] if is_of_another_script else None


def press_latin(window: QWidget, menus: QMenuBar, event: QKeyEvent) -> bool:
    """Do what the key would do with its Latin letter → whether it does something."""
    key, focus = latin_key(event), window.focusWidget()
    if key is None or focus is None:
        return False
    pressed = QKeyCombination(event.modifiers(), key)
    if pressed.keyboardModifiers() == Qt.KeyboardModifier.AltModifier:
        return _open_menu(menus, QKeySequence(pressed))
    for action in window.findChildren(QAction):
        if QKeySequence(pressed) in action.shortcuts() and action.isEnabled() and _is_in_reach(action, focus):
            action.trigger()
            return True
    again = QKeyEvent(event.type(), key, event.modifiers(), "", event.isAutoRepeat())
    QCoreApplication.sendEvent(focus, again)
    return again.isAccepted()


def _is_in_reach(action: QAction, focus: QWidget) -> bool:
    if action.shortcutContext() is not Qt.ShortcutContext.WidgetWithChildrenShortcut:
        return True
    owners = (owner for owner in action.associatedObjects() if isinstance(owner, QWidget))
    return any(owner is focus or owner.isAncestorOf(focus) for owner in owners)


def _open_menu(menus: QMenuBar, keys: QKeySequence) -> bool:
    menu = next((action for action in menus.actions() if QKeySequence.mnemonic(action.text()) == keys), None)
    if menu is not None:
        menus.setActiveAction(menu)
    return menu is not None
