"""This version of Mezzotint and its page, as pyproject.toml names them."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from typing import NamedTuple

from engine.installation import BUILT_FILE, KIND, ROOT


class Project(NamedTuple):
    version: str
    page: str
    """Where newer versions are; empty where nobody has told."""


def project() -> Project:
    """From what an installation of this kind carries of pyproject.toml."""
    if KIND == "checkout":
        told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        return Project(told["version"], told["urls"]["Homepage"])
    if KIND == "built":
        told = json.loads(BUILT_FILE.read_text("utf-8"))
        return Project(told["version"], told.get("page", ""))
    packaged = metadata.metadata("mezzotint")
    pages = dict(entry.split(", ", 1) for entry in packaged.get_all("Project-URL", []))
    return Project(packaged["Version"], pages.get("Homepage", ""))
