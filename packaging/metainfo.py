"""What software centres show of Mezzotint: AppStream metainfo, made from pyproject.toml and CHANGELOG.md."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from desktop_entry import CATEGORIES, MIME_TYPES, SUMMARY

ROOT = Path(__file__).resolve().parent.parent
ID = "app.mezzotint.Mezzotint"
DESCRIPTION = (
    "Put the caret where text should come and press Draft paragraph: the paragraph appears in the page as "
    "noise and sharpens, everywhere at once, until it can be read. Then keep it, try again, or discard it.",
    "Your text is never lost, and never changed unless you said so. Typing is not slowed, not even while a "
    "draft is running. Nothing is sent anywhere: drafts are made on this computer. Check their facts.",
)
PICTURES = {
    "developing.png": "A draft develops in the page",
    "settled.png": "A settled draft can be kept, tried again or discarded",
    "settings.png": "Settings stand beside the page",
    "models.png": "Each model, with what it needs on this computer",
}


@cache
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def version() -> str:
    return str(project()["version"])


def homepage() -> str:
    """Empty where pyproject.toml names none."""
    return str(project().get("urls", {}).get("Homepage", "")).rstrip("/")


def changes() -> list[str]:
    """Plain sentences: the items of CHANGELOG.md's first section, which is this version's."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = text.split("\n## ")[1]
    items = re.split(r"^- ", section, flags=re.MULTILINE)[1:]
    return [re.sub(r"[*`]|\s+(?=\s)", "", item.replace("\n", " ")).strip() for item in items]


def metainfo(epoch: int) -> str:
    """epoch: when this version was made."""
    root = Element("component", type="desktop-application")

    def add(tag: str, text: str = "", parent: Element = root, **attributes: str) -> Element:
        element = SubElement(parent, tag, attributes)
        element.text = text or None
        return element

    add("id", ID)
    add("name", "Mezzotint")
    add("summary", SUMMARY)
    add("metadata_license", "CC0-1.0")
    add("project_license", project()["license"])
    developer = add("developer", id=ID.rpartition(".")[0])
    add("name", "The Mezzotint project", developer)
    description = add("description")
    for paragraph in DESCRIPTION:
        add("p", paragraph, description)
    add("launchable", "mezzotint.desktop", type="desktop-id")
    if homepage():
        add("url", homepage(), type="homepage")
        screenshots = add("screenshots")
        for number, (file, caption) in enumerate(PICTURES.items()):
            kind = {} if number else {"type": "default"}
            screenshot = add("screenshot", "", screenshots, **kind)
            add("caption", caption, screenshot)
            add("image", f"{homepage()}/raw/HEAD/resources/pictures/{file}", screenshot)
    provides = add("provides")
    for mime_type in MIME_TYPES:
        add("mediatype", mime_type, provides)
    add("binary", "mezzotint", provides)
    categories = add("categories")
    for category in CATEGORIES:
        add("category", category, categories)
    add("content_rating", type="oars-1.1")
    date = datetime.fromtimestamp(epoch, UTC).date().isoformat()
    release = add("release", "", add("releases"), version=version(), date=date)
    told = add("ul", "", add("description", "", release))
    for change in changes():
        add("li", change, told)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"
