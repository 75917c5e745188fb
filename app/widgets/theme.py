"""Themes: colours, fonts, stylesheet, reduced motion."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import asdict, dataclass
from functools import cache
from string import Template
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication, QPalette

from app.widgets.resources import ICONS
from engine.installation import RESOURCES


@dataclass(frozen=True, kw_only=True)
class Theme:
    """paper: the page; panel: beside it; secondary: small text, readable on both; hairline: decoration;
    selection: the tint of what is found; what is selected has the accent's ground."""

    name: Literal["light", "dark", "sepia"]
    paper: str
    panel: str
    ink: str
    secondary: str
    hairline: str
    accent: str
    selection: str
    check_icon: Literal["check-light.svg", "check-dark.svg"]


LIGHT = Theme(
    name="light",
    paper="#FBFAF7",
    panel="#F4F1EB",
    ink="#23211E",
    secondary="#6F6A62",
    hairline="#E7E3DB",
    accent="#8A4B2D",
    selection="#EAD9CC",
    check_icon="check-light.svg",
)
DARK = Theme(
    name="dark",
    paper="#1B1A19",
    panel="#222120",
    ink="#E6E1D8",
    secondary="#989287",
    hairline="#2E2C2A",
    accent="#D59A74",
    selection="#4A382D",
    check_icon="check-dark.svg",
)
SEPIA = Theme(
    name="sepia",
    paper="#F4EBD9",
    panel="#ECE1CA",
    ink="#3A2E22",
    secondary="#6B5D4A",
    hairline="#DDD0B6",
    accent="#86461F",
    selection="#E3C9A8",
    check_icon="check-light.svg",
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK, SEPIA)}


def theme_named(name: str, system_dark: bool) -> Theme:
    """`system`, or a theme's name."""
    if name == "system":
        return DARK if system_dark else LIGHT
    return THEMES[name]  # type: ignore[index]


def system_is_dark() -> bool:
    return QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark


def reduces_motion(choice: str) -> bool:
    """choice: `on`, `off`, or `system`, which is asked once: that may take 50 ms."""
    return _system_reduces_motion() if choice == "system" else choice == "on"


@cache
def _system_reduces_motion() -> bool:
    """Linux desktops with a portal and Windows tell; Qt does not ask, and macOS has no plain call for it."""
    if sys.platform == "win32":
        animated = ctypes.c_int(1)
        ctypes.windll.user32.SystemParametersInfoW(
            0x1042, 0, ctypes.byref(animated), 0
        )  # GETCLIENTAREAANIMATION
        return not animated.value
    if sys.platform == "linux":
        from PySide6.QtDBus import QDBus, QDBusConnection, QDBusMessage

        question = QDBusMessage.createMethodCall(
            "org.freedesktop.portal.Desktop",
            "/org/freedesktop/portal/desktop",
            "org.freedesktop.portal.Settings",
            "ReadOne",
        )
        question.setArguments(["org.gnome.desktop.interface", "enable-animations"])
        answer = QDBusConnection.sessionBus().call(question, QDBus.CallMode.Block, 50).arguments()
        return bool(answer) and getattr(answer[0], "variant", lambda: None)() is False
    return False


def palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.paper,
        role.WindowText: theme.ink,
        role.Base: theme.paper,
        role.AlternateBase: theme.panel,
        role.Text: theme.ink,
        role.PlaceholderText: theme.secondary,
        role.Button: theme.panel,
        role.ButtonText: theme.ink,
        role.BrightText: theme.accent,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.paper,
        role.Accent: theme.accent,
        role.Link: theme.accent,
        role.LinkVisited: theme.accent,
        role.ToolTipBase: theme.panel,
        role.ToolTipText: theme.ink,
        role.Light: theme.paper,
        role.Midlight: theme.hairline,
        role.Mid: theme.hairline,
        role.Dark: theme.secondary,
        role.Shadow: theme.hairline,
    }
    result = QPalette()
    for key, colour in colours.items():
        result.setColor(key, QColor(colour))
    for key in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, key, QColor(theme.secondary))
    return result


def ui_font() -> QFont:
    """The interface's face at the system's size, at least 13 px."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    size_px = max(13, QFontInfo(font).pixelSize())
    font.setFamilies(["Inter", *font.families()])
    font.setPixelSize(size_px)
    return font


def prose_font(family: str, size_px: int) -> QFont:
    """The page's face; the families after the first stand in where it is missing."""
    font = QFont()
    font.setFamilies([family, "Vollkorn", "Charter", "Georgia", "Cambria", "Noto Serif", "DejaVu Serif"])
    font.setStyleHint(QFont.StyleHint.Serif)
    font.setPixelSize(size_px)
    font.setKerning(True)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font


def stylesheet(theme: Theme) -> str:
    """For the application; resources/style.qss lists the properties that a widget can set."""
    return Template((RESOURCES / "style.qss").read_text("utf-8")).substitute(
        asdict(theme),
        icons=ICONS.as_posix(),
        hover=_mixed(theme.ink, theme.panel, 0.07),
        border=_mixed(theme.ink, theme.panel, 0.16),
        field=field_border(theme),
        faint=_mixed(theme.secondary, theme.panel, 0.6),
        accent_hover=_mixed(theme.ink, theme.accent, 0.15),
    )


def field_border(theme: Theme) -> str:
    """What tells a field from its ground: 3 : 1 at least."""
    return _mixed(theme.ink, theme.panel, 0.56)


def _mixed(top: str, bottom: str, share: float) -> str:
    """`share` of the top colour over the bottom one."""
    a, b = QColor(top), QColor(bottom)
    return QColor(
        round(a.red() * share + b.red() * (1 - share)),
        round(a.green() * share + b.green() * (1 - share)),
        round(a.blue() * share + b.blue() * (1 - share)),
    ).name()
