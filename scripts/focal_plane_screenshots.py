"""Make the image of the focal planes: a synthetic field of cells at several depths, by Alt and the wheel.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/focal_plane_screenshots.py [FOLDER]``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication
from scipy import ndimage
from screenshots import IMAGE_FOLDER, save, settle, write_light

from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.widgets.canvas.napari_window import look_at, native_canvas
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

HEIGHT, WIDTH, PLANES, CELLS = 900, 1400, 5, 45
MPP_UM, SPACING_UM = 0.25, 0.5
# How much a cell blurs for each plane that it lies away, px: its cytoplasm and its nucleus.
BLUR_PX = (3.0, 2.2)
SHOWN_HW = (290, 760)
# So far a cell is blurred at most.
REACH_PX = 110


def stack() -> npt.NDArray[np.uint8]:
    """Return the planes, uint8 RGB ``(5, h, w, 3)``; each cell is sharp in one of them."""
    rng = np.random.default_rng(3)
    places = np.stack(
        [rng.integers(REACH_PX, HEIGHT - REACH_PX, CELLS), rng.integers(REACH_PX, WIDTH - REACH_PX, CELLS)], 1
    ).tolist()
    depths = rng.integers(0, PLANES, CELLS).tolist()
    radius = np.hypot(*np.mgrid[-REACH_PX:REACH_PX, -REACH_PX:REACH_PX])
    grain = 0.7 + 0.3 * rng.random((CELLS, *radius.shape))
    planes = np.full((PLANES, HEIGHT, WIDTH, 3), 238.0)
    for plane, pixels in enumerate(planes):
        for (y, x), depth, chromatin in zip(places, depths, grain, strict=True):
            away = abs(plane - depth)
            cytoplasm = ndimage.gaussian_filter((radius < 50) * 0.3, 1 + BLUR_PX[0] * away)
            nucleus = ndimage.gaussian_filter((radius < 14) * chromatin, 0.6 + BLUR_PX[1] * away)
            stain = 1 - cytoplasm[..., None] * (0.5, 0.2, 0.3)
            pixels[y - REACH_PX : y + REACH_PX, x - REACH_PX : x + REACH_PX] *= stain * (
                1 - nucleus[..., None] * (0.75, 0.8, 0.35)
            )
    return planes.clip(0, 255).astype(np.uint8)


def turn(window: CytoWindow, notches: int) -> None:
    """Turn the wheel over the slide with Alt held."""
    canvas = native_canvas(window.viewer)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    event = QWheelEvent(
        QPointF(middle), QPointF(canvas.mapToGlobal(middle)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.AltModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    settle(0.6)


def make(window: CytoWindow, target: Path) -> None:
    """Show the same place in two planes, one above the other."""
    look_at(window.viewer, (450.0, 700.0), MPP_UM, 4.0)
    settle(1.0)
    shots = []
    with tempfile.TemporaryDirectory() as scratch:
        for notches in (0, 2):
            turn(window, notches)
            file = Path(scratch) / "shot.png"
            save(native_canvas(window.viewer), file)
            with Image.open(file) as image:
                shots.append(np.asarray(image.convert("RGB"))[-SHOWN_HW[0] :, : SHOWN_HW[1]])
    write_light(Image.fromarray(np.concatenate(shots)), target / "focal-planes.jpg")


def main() -> None:
    """Make the image."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE_FOLDER
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stack.ome.tif"
        said = {"axes": "ZYXS", "PhysicalSizeX": MPP_UM, "PhysicalSizeY": MPP_UM, "PhysicalSizeZ": SPACING_UM}
        tifffile.imwrite(file, stack(), photometric="rgb", tile=(256, 256), metadata=said)
        session = Session("Ana")
        session.projects.create(Path(folder) / "planes.cyto", preset("bethesda"), "Planes")
        session.slides.add([file])
        session.slides.go_to(session.project.slides()[0].id)
        session.close()
        viewer = open_window(Path(folder) / "planes.cyto")
        settle(2)
        make(window_of(viewer), target)
        viewer.close()


if __name__ == "__main__":
    main()
