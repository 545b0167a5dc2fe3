"""The verb ``open``, and what a window needs before it can be shown."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import warnings
from pathlib import Path

from napari_cyto.cli.output import print_json
from napari_cyto.errors import CytoError


def run(path: Path, as_json: bool) -> None:
    """Open a slide or project in a window, and return when the window has closed.

    Raises
    ------
    CytoError
        When it cannot be opened, or there is no window to show it in.
    """
    from napari_cyto.slides import open_slide
    from napari_cyto.store import Project

    is_project = Project.is_project(path)
    if not is_project:
        # Tried before Qt starts, so that a mistyped path is refused at once and without a screen.
        open_slide(path).close()
    need_window("open")
    show(path, {"path": str(path), "kind": "project" if is_project else "slide"} if as_json else None)


def need_window(verb: str) -> None:
    """Refuse where no window can be shown.

    Raises
    ------
    CytoError
        When napari or Qt is not installed, or there is no screen; the sentence says what to do.
    """
    if any(importlib.util.find_spec(name) is None for name in ("napari", "qtpy")):
        raise CytoError(
            f"`napari-cyto {verb}` needs napari and Qt, which are not installed here; "
            'install them with: pip install "napari-cyto[pyqt5]".'
        )
    known = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in known):
        raise CytoError(
            f"`napari-cyto {verb}` needs a screen, but there is none here (DISPLAY is not set); put `xvfb-run -a` "
            "before it, or use `napari-cyto demo --headless --out DIR`, import, export and audit."
        )


def show(path: Path, opened: dict[str, str] | None) -> None:
    """Show ``path`` in a window until it is closed; ``opened`` is printed as JSON once it is there.

    Ctrl-C, or a signal to end, closes the window as its user would; every mark is saved already.
    """
    # Said in each window under Qt 5, which we support knowingly; nothing that a user could act on.
    warnings.filterwarnings("ignore", "System theme detection requires a Qt6 backend", UserWarning)
    import napari

    from napari_cyto.widgets.window import open_window

    viewer = open_window(path)
    if opened is not None:
        print_json(opened)
        sys.stdout.flush()
    # The window asks its session for news once a second, and Python looks for signals then.
    before = {number: signal.signal(number, lambda *_: viewer.close()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        napari.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
