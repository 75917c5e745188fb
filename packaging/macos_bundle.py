"""The macOS bundle's Info.plist, and its disk image. Neither has been run on macOS yet."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from metainfo import version

OLDEST_MACOS = "13.0"  # of Qt 6.11
UNIFORM_TYPES = {"Plain text": "public.plain-text", "Markdown": "net.daringfireball.markdown"}


def information() -> dict[str, Any]:
    """What Info.plist says beyond what PyInstaller writes."""
    return {
        "CFBundleDisplayName": "Mezzotint",
        "CFBundleShortVersionString": version(),
        "LSApplicationCategoryType": "public.app-category.productivity",
        "LSMinimumSystemVersion": OLDEST_MACOS,
        "NSHighResolutionCapable": True,
        "NSHumanReadableCopyright": "Apache-2.0",
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": name,
                "CFBundleTypeRole": "Editor",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": [uniform_type],
            }
            for name, uniform_type in UNIFORM_TYPES.items()
        ],
        "UTImportedTypeDeclarations": [
            {
                "UTTypeIdentifier": UNIFORM_TYPES["Markdown"],
                "UTTypeDescription": "Markdown",
                "UTTypeConformsTo": ["public.plain-text"],
                "UTTypeTagSpecification": {"public.filename-extension": ["md", "markdown"]},
            }
        ],
    }


def disk_image(bundle: Path, made: Path, image: Path) -> None:
    """bundle: Mezzotint.app, which the image offers to drag to the applications."""
    stage = made / "disk-image"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(bundle, stage / bundle.name, symlinks=True)
    (stage / "Applications").symlink_to("/Applications")
    command = [
        "hdiutil",
        "create",
        "-volname",
        "Mezzotint",
        "-srcfolder",
        str(stage),
        "-ov",
        "-format",
        "ULFO",
    ]
    subprocess.run([*command, str(image)], check=True)
