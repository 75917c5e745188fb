"""The app's icon in all usual sizes: `icons.py DIR`, run by the build's own Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SIZES = (16, 22, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)


def main() -> int:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication(sys.argv[:1])
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    drawing = QSvgRenderer(str(Path(__file__).parents[1] / "resources" / "icons" / "mezzotint.svg"))
    for size in SIZES:
        image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        drawing.render(painter)
        painter.end()
        image.save(str(folder / f"{size}.png"))
    del application
    if sys.platform != "linux":  # the icon files of the other systems
        from PIL import Image

        pictures = [Image.open(folder / f"{size}.png") for size in SIZES]
        for suffix in ("ico", "icns"):
            pictures[-1].save(folder / f"mezzotint.{suffix}", append_images=pictures[:-1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
