"""The colours and the prose's letters of the window, as the settings and the system want them."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.editor.page import Page
from app.settings.schema import Settings
from app.settings.store import SettingsStore
from app.widgets.theme import palette, prose_font, stylesheet, system_is_dark, theme_named


class Appearance(QObject):
    """Applied at once, and whenever the settings or the system change it."""

    def __init__(self, page: Page, settings: SettingsStore, parent: QObject) -> None:
        super().__init__(parent)
        self._page = page
        self._settings = settings
        self._shown = settings.current
        self._set_theme()
        settings.changed.connect(self._on_settings)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._set_theme)

    def _on_settings(self, settings: Settings) -> None:
        shown, self._shown = self._shown, settings
        if shown.theme != settings.theme:
            self._set_theme()
        elif (shown.font_family, shown.font_size_px) != (settings.font_family, settings.font_size_px):
            self._set_prose_font()

    def _set_theme(self) -> None:
        theme = theme_named(self._settings.current.theme, system_is_dark())
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setPalette(palette(theme))
        app.setStyleSheet(stylesheet(theme))
        self._page.set_theme(theme)
        self._set_prose_font()  # a stylesheet sets the old one again

    def _set_prose_font(self) -> None:
        chosen = self._settings.current
        self._page.set_prose_font(prose_font(chosen.font_family, chosen.font_size_px))
