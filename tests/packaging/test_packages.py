"""What the packages tell the systems that install them."""

from __future__ import annotations

import os
import plistlib
import shutil
import stat
from pathlib import Path
from xml.etree import ElementTree

import icons
import linux_packages
import macos_bundle
import metainfo
import pytest
import system

EPOCH = 1_790_000_000
PROGRAM = b"\x7fELF and so on"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    (folder / "_internal" / "psutil-1.dist-info").mkdir(parents=True)
    (folder / "_internal" / "psutil-1.dist-info" / "LICENSE").write_text("Do as you like.")
    (folder / "mezzotint").write_bytes(PROGRAM)
    (folder / "_internal" / "libz.so.1").write_bytes(PROGRAM)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "icons"
    folder.mkdir()
    for size in icons.SIZES:
        (folder / f"{size}.png").write_text(str(size))
    return folder


def manifest(root: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (
            path.relative_to(root).as_posix(),
            stat.S_IMODE(path.lstat().st_mode),
            int(path.lstat().st_mtime),
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    ]


def test_a_folder_for_packages_is_the_same_whenever_it_is_made(
    built: Path, pictures: Path, tmp_path: Path
) -> None:
    first = manifest(linux_packages.app_dir(built, pictures, tmp_path / "one", EPOCH))
    for path in built.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode ^ 0o040)
    assert manifest(linux_packages.app_dir(built, pictures, tmp_path / "two", EPOCH)) == first
    assert {when for _, _, when, _ in first} == {EPOCH}
    modes = {name: mode for name, mode, _, _ in first}
    assert modes["usr/lib/mezzotint/mezzotint"] == 0o755
    assert modes["usr/lib/mezzotint/_internal/libz.so.1"] == 0o644


TRUE = Path("/bin/true").read_bytes()
"""A program that runs, and looks like a runtime, but tells no offset as one does."""


@pytest.mark.parametrize(
    "program",
    [b"", PROGRAM, b"#!/bin/sh\n", b"ELF\x7f0000AI\x02", PROGRAM[:4] + TRUE[4:8] + b"AI\x02" + TRUE[11:]],
)
def test_an_app_image_begins_with_its_runtime_and_with_nothing_else(
    built: Path, pictures: Path, tmp_path: Path, program: bytes
) -> None:
    runtime, file = tmp_path / "runtime", tmp_path / "m.AppImage"
    runtime.write_bytes(program)
    with pytest.raises(system.SetUpError, match="runtime"):
        linux_packages.app_image(built, pictures, tmp_path, file, EPOCH, runtime)
    assert not file.exists()


def test_the_app_is_found_by_the_desktop(built: Path, pictures: Path, tmp_path: Path) -> None:
    root = linux_packages.app_dir(built, pictures, tmp_path, EPOCH)
    assert (root / "usr/bin/mezzotint").read_bytes() == (root / "AppRun").read_bytes() == PROGRAM
    assert (root / "usr/share/applications/mezzotint.desktop").is_file()
    assert (root / "usr/share/icons/hicolor/48x48/apps/mezzotint.png").read_text() == "48"


def test_the_metainfo_says_which_version_opens_what() -> None:
    root = ElementTree.fromstring(metainfo.metainfo(EPOCH))
    release = root.find("releases/release")
    assert release is not None
    assert release.attrib == {"version": metainfo.version(), "date": "2026-09-21"}
    assert len(release.findall("description/ul/li")) == len(metainfo.changes()) > 10
    assert [kind.text for kind in root.iter("mediatype")] == ["text/plain", "text/markdown"]
    assert root.findtext("launchable") == "mezzotint.desktop"
    assert root.findtext("project_license") == "Apache-2.0"


def test_the_pictures_of_the_metainfo_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(metainfo.project(), "urls", {"Homepage": "https://example.org/mezzotint/"})
    root = ElementTree.fromstring(metainfo.metainfo(EPOCH))
    images = [image.text or "" for image in root.iter("image")]
    assert images
    for image in images:
        address, _, file = image.partition("/raw/HEAD/")
        assert address == "https://example.org/mezzotint"
        assert (metainfo.ROOT / file).is_file()


def test_changes_are_plain_sentences() -> None:
    assert not [change for change in metainfo.changes() if "\n" in change or "**" in change or "  " in change]


def test_debian_finds_version_changes_and_licences(built: Path) -> None:
    assert linux_packages.changelog(EPOCH).startswith(f"mezzotint ({metainfo.version()}) ")
    (built / "_internal" / "other-2.dist-info").mkdir()
    shutil.copyfile(metainfo.ROOT / "LICENSE", built / "_internal" / "other-2.dist-info" / "LICENSE")
    told = linux_packages.copyright_file(built)
    assert told.count("/usr/share/common-licenses/Apache-2.0") == 2
    assert (metainfo.ROOT / "LICENSE").read_text() not in told
    assert "LGPL-3" in told
    assert "psutil 1\n\nDo as you like." in told


def test_macos_opens_text_and_markdown() -> None:
    information = plistlib.loads(plistlib.dumps(macos_bundle.information()))
    assert information["CFBundleShortVersionString"] == metainfo.version()
    opened = {one for kind in information["CFBundleDocumentTypes"] for one in kind["LSItemContentTypes"]}
    assert opened == {"public.plain-text", "net.daringfireball.markdown"}


def test_the_entitlements_are_a_property_list() -> None:
    file = metainfo.ROOT / "packaging" / "recipes" / "entitlements.plist"
    entitlements = plistlib.loads(file.read_bytes())
    assert set(entitlements.values()) == {True}
