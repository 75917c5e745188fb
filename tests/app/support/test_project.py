"""Each kind of installation knows its version and its page."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from app.support import project as module
from app.support.project import Project, project
from engine.installation import ROOT


def test_a_checkout_reads_what_it_is_built_from() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project() == Project(told["version"], told["urls"]["Homepage"])
    assert project().page.startswith("https://")


@pytest.mark.parametrize("page", ["https://mezzotint.example/", ""])
def test_the_built_app_reads_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    file = tmp_path / "built.json"
    file.write_text(json.dumps({"version": "1.2"} | ({"page": page} if page else {})), "utf-8")
    monkeypatch.setattr(module, "KIND", "built")
    monkeypatch.setattr(module, "BUILT_FILE", file)
    assert project() == Project("1.2", page)
