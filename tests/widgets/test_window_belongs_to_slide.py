"""Promise: while a project is open nothing of napari's moves, hides or covers the slide under its annotations.

After every action that napari knows, by menu, palette, key or code, a real click on the canvas is stored at the level-0
place where the eye saw it, all annotations are drawn, and nothing lies over the slide.
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterator
from contextlib import suppress
from inspect import isgeneratorfunction
from pathlib import Path

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.components.viewer_model import ViewerModel
from napari.layers import Image, Points
from napari.utils.action_manager import action_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage, QKeySequence
from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QMenu

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.presets import preset
from napari_cyto.session import Session, Tool
from napari_cyto.slides.tiff_writer import write_pyramid
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas._key_bindings import as_qt_writes
from napari_cyto.widgets.canvas.napari_actions import serves_a_slide
from napari_cyto.widgets.keys import KEYS

SIDE, MPP = 640, 0.25
LANDMARK_YX, BLUE = (200.0, 420.0), (20, 40, 230)
CELLS_YX = [(100.0, 100.0), (500.0, 150.0), (450.0, 500.0)]
# They end or restart the program, or wait for a person in a window of their own.
LEAVES_THE_WINDOW = ("close_dialog", "quit_dialog", "restart", "preferences", "plugin_install", "trace", "console")
OFF = ("help.info", "show_logs", "viewer_tour", "about", "copy_", "features_table")


class Eye:
    """Looks at a window's pixels and clicks where it sees the landmark."""

    def __init__(self, bench) -> None:
        self.bench, self.session = bench, bench.session
        self.viewer = bench.window.viewer
        self.native = napari_window.native_canvas(self.viewer)
        self.session.tool = Tool.POINT
        for yx in CELLS_YX:
            self.session.edits.add_point(yx)
        bench.window.view.home()
        self.settle()
        self.said: list[str] = []
        self.session.message.connect(self.said.append)
        self.green = tuple(int(preset("bethesda")["NILM"].colour[i : i + 2], 16) for i in (1, 3, 5))
        self.before = {a.id for a in self.stored()}

    def settle(self) -> None:
        for _ in range(3):
            QApplication.processEvents()

    def stored(self) -> list:
        return list(self.session.project.annotations(self.session.slide.id))

    def pixels(self) -> np.ndarray:
        image = self.native.grabFramebuffer().convertToFormat(QImage.Format.Format_RGB888)
        bits = image.constBits()
        bits.setsize(image.height() * image.bytesPerLine())
        rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
        return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).astype(int)

    @staticmethod
    def places_of(pixels: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
        return np.argwhere(np.abs(pixels - np.array(rgb)).max(axis=2) < 30)

    def check(self, what: str) -> None:
        """Compare what is seen with what is stored."""
        self.settle()
        pixels = self.pixels()
        seen = self.places_of(pixels, BLUE)
        assert len(seen) > 30, f"after {what} the slide is not seen"
        y, x = seen.mean(axis=0)
        per_px = 1 / (napari_window.camera_of(self.viewer).zoom * MPP)
        green = self.places_of(pixels, self.green)
        for cell in CELLS_YX:
            there = (y + (cell[0] - LANDMARK_YX[0]) / per_px, x + (cell[1] - LANDMARK_YX[1]) / per_px)
            if all(15 < v < size - 15 for v, size in zip(there, pixels.shape[:2], strict=True)):
                away = np.abs(green - np.array(there)).max(axis=1).min(initial=99)
                assert away < 6, f"after {what} the cell at {cell} is not drawn where it is"
        self.session.select(())
        self.session.tool = Tool.POINT
        self.bench.qtbot.mouseClick(
            self.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(round(x), round(y))
        )
        self.settle()
        [new] = [a for a in self.stored() if a.id not in self.before]
        assert new.geometry.centre_yx == pytest.approx(LANDMARK_YX, abs=3 * per_px), f"after {what}"
        self.session.history.undo()
        self.settle()
        assert {a.id for a in self.stored()} == self.before, what


@pytest.fixture
def eye(open_window_on: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Eye]:
    pixels = np.full((SIDE, SIDE, 3), 235, np.uint8)
    y, x = (int(v) for v in LANDMARK_YX)
    pixels[y - 15 : y + 15, x - 15 : x + 15] = BLUE
    write_pyramid(tmp_path / "a.tif", (SIDE, SIDE), lambda y, x, h, w: pixels[y : y + h, x : x + w], mpp=MPP)
    session = Session("anna")
    session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    session.slides.add([tmp_path / "a.tif"])
    session.close()
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_a, **_k: ([], ""))
    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_a, **_k: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_a, **_k: "")
    for name in ("exec", "exec_", "open"):
        monkeypatch.setattr(QDialog, name, lambda *_a, **_k: 0, raising=False)
    monkeypatch.setattr(QMenu, "exec", lambda *_a, **_k: None)
    # napari's help holds on to webbrowser.open itself; without browsers it starts none.
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    bench = open_window_on(tmp_path / "p.cyto")
    bench.window.viewer.window.resize(1000, 600)
    bench.settle()
    yield Eye(bench)
    for extra in QApplication.topLevelWidgets():
        if extra is not bench.window.viewer.window._qt_window and isinstance(extra, QDialog):
            extra.close()


def set_to(owner: Callable, name: str, value: object) -> Callable:
    return lambda viewer: setattr(owner(viewer), name, value)


CHANGES = {
    "3D": set_to(lambda v: v.dims, "ndisplay", 3),
    "transposed": lambda v: v.dims.transpose(),
    "rolled": lambda v: v.dims.roll(),
    "grid": set_to(napari_window.grid_of, "enabled", True),
    "flipped": set_to(napari_window.camera_of, "orientation", ("away", "up", "left")),
    "slide hidden": set_to(lambda v: v.layers[0], "visible", False),
    "slide pale": set_to(lambda v: v.layers[0], "opacity", 0.1),
    "slide turned": set_to(lambda v: v.layers[0], "affine", [[0, 1, 5], [-1, 0, 2], [0, 0, 1]]),
    "slide moved": set_to(lambda v: v.layers[0], "translate", (30, 30)),
    "slide stretched": set_to(lambda v: v.layers[0], "scale", (1, 2)),
    "slide edited": set_to(lambda v: v.layers[0], "mode", "transform"),
    "annotations hidden": set_to(lambda v: v.layers[-1], "visible", False),
    "annotations moved": set_to(lambda v: v.layers[-1], "translate", (30, 30)),
    "annotations edited": set_to(lambda v: v.layers[-1], "mode", "add"),
    "order": lambda v: v.layers.move(1, 0),
    "slide removed": lambda v: v.layers.remove(v.layers[0]),
    "annotations removed": lambda v: v.layers.remove(v.layers[-1]),
    "all removed": lambda v: v.layers.clear(),
    "image": lambda v: v.add_image(np.zeros((900, 900))),
    "stack": lambda v: v.add_image(np.zeros((4, 90, 90)), units=("um", "um", "um")),
    "points to add": lambda v: setattr(v.add_points(ndim=2), "mode", "add"),
    "labels to paint": lambda v: setattr(v.add_labels(np.zeros((90, 90), int)), "mode", "paint"),
    "shown on top": lambda v: (setattr(v.layers[0], "visible", True), v.layers.move(0, len(v.layers))),
    "another active": lambda v: setattr(v.layers.selection, "active", v.layers[0]),
}


def test_what_code_or_a_plugin_does_to_the_viewer_is_set_right_and_said(eye):
    eye.check("opening")
    for name, change in CHANGES.items():
        eye.said.clear()
        change(eye.viewer)
        eye.settle()
        words = " ".join(eye.said)
        eye.check(name)
        quiet = ("slide edited", "annotations edited", "order", "another active")
        assert words or name in quiet, f"{name} was undone without a word"
    slide, cells = eye.viewer.layers[-2:]
    assert slide is eye.bench.window.view.layer
    assert cells is eye.bench.window.canvas.layers.cells
    assert not any(layer.visible for layer in eye.viewer.layers[:-2])
    eye.session.close()
    eye.settle()
    assert [layer.visible for layer in eye.viewer.layers] == [True] * 4
    eye.viewer.dims.transpose()
    assert eye.viewer.dims.order != tuple(range(eye.viewer.dims.ndim))


def combinations() -> set[str]:
    """Every shortcut that napari knows, by action, layer or menu, as Qt writes it."""
    written = {str(s) for shortcuts in action_manager._shortcuts.values() for s in shortcuts}
    for provider in (ViewerModel, Image, Points):
        written |= {str(key) for key in provider.class_keymap}
    app = get_app_model()
    written |= {str(rule.keybinding) for rule in app.keybindings}
    return {name for each in written for name in as_qt_writes(each)}


def test_every_key_of_naparis_leaves_slide_and_annotations_alone(eye):
    """Pressed on the canvas for real; ours among them do what the keys table says, and are taken back."""
    ours = {name for key in KEYS for written in key.keys for name in as_qt_writes(written)}
    pressed = sorted(combinations() - ours)
    assert {"Ctrl+G", "Ctrl+E", "Ctrl+T", "Ctrl+Del"} <= set(pressed)
    for name in pressed:
        combined = QKeySequence(name)[0]
        combined = combined.toCombined() if hasattr(combined, "toCombined") else int(combined)
        key, modifiers = combined & 0x01FFFFFF, combined & ~0x01FFFFFF
        if name in ("Ctrl+W", "Ctrl+Q") or not key:
            continue
        eye.bench.qtbot.keyClick(eye.native, Qt.Key(key), Qt.KeyboardModifier(modifiers))
        eye.settle()
        assert len(eye.viewer.layers) == 2, name
    eye.check("all keys")
    eye.said.clear()
    eye.bench.qtbot.keyClick(eye.native, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert "Ctrl+G (Toggle grid mode) is disabled" in eye.said[-1]


@pytest.mark.parametrize("way", ["asked", pytest.param("forced", marks=pytest.mark.nightly)])
def test_every_command_of_naparis_leaves_slide_and_annotations_alone(eye, way):
    """``questions`` as menus and the palette do it, ``forced`` as if nothing stood between: the pins hold alone."""
    commands = get_app_model().commands
    samples = [i for i in commands._commands if i.count(".") == 1 and i.startswith("napari.")]
    walked = 0
    for command_id in sorted(commands._commands):
        if any(part in command_id for part in (*LEAVES_THE_WINDOW, *OFF)) or command_id.startswith("napari-"):
            continue
        if way == "forced" and (command_id in samples or serves_a_slide(command_id)):
            continue
        eye.said.clear()
        for layer in eye.viewer.layers[-2:] if way == "forced" else [None]:
            if layer is not None and layer in eye.viewer.layers:
                eye.viewer.layers.selection.active = layer
            if way == "asked":
                commands.execute_command(command_id)
                continue
            # Many of them want other layers than these two.
            with suppress(Exception):
                commands[command_id].run_injected()
            eye.settle()
        rests = not serves_a_slide(command_id)
        does = any(part in command_id for part in ("open", "fit", "help."))
        assert way == "forced" or not rests or eye.said or does, f"{command_id} rests without a word"
        if way == "forced" or not rests:
            eye.check(command_id)
        walked += 1
    eye.check("all commands")
    assert walked > 20


@pytest.mark.nightly
def test_every_action_of_naparis_layers_leaves_slide_and_annotations_alone(eye):
    for name, action in action_manager._actions.items():
        owner = {ViewerModel: eye.viewer, Image: eye.viewer.layers[0], Points: eye.viewer.layers[-1]}.get(
            action.keymapprovider
        )
        if owner is None or any(part in name for part in ("console", "shortcuts")):
            continue
        with suppress(Exception):
            found = action.injected(owner)
            if isgeneratorfunction(action.command):
                list(found)
        eye.settle()
        eye.check(name)


def accepted_cells_that_a_filter_hides_are_counted_on_the_slide(eye):
    from dataclasses import replace

    note = eye.bench.window.canvas.note
    assert "Filter" not in note.text()
    eye.session.view.show_only(replace(eye.session.shown_filter, statuses=frozenset([Status.UNREVIEWED])))
    eye.settle()
    assert "Filter on (Predict dock): 3 accepted cells hidden here." in note.text()
    eye.session.view.show_only(replace(eye.session.shown_filter, statuses=frozenset(Status)))
    eye.settle()
    assert "Filter" not in note.text()


def tool_and_class_are_on_the_slide_whatever_dock_is_in_front(eye):
    badge = eye.bench.window.badge
    for tool, words in ((Tool.BOX, "Box"), (Tool.REGION, "Region"), (Tool.SELECT, "Select")):
        eye.session.tool = tool
        assert words in badge.words.text()
    eye.bench.qtbot.keyClick(eye.native, Qt.Key.Key_5)
    assert "HSIL" in badge.words.text()
    # A button that lies on the slide is not the slide: letters typed to it mean nothing.
    badge.view.setFocus()
    eye.bench.qtbot.keyClick(badge.view, Qt.Key.Key_6)
    assert "HSIL" in badge.words.text()
    eye.native.setFocus()
    assert badge.isVisible()
    assert eye.native.rect().contains(badge.geometry())
    eye.session.close()
    assert not badge.isVisible()


def the_view_is_as_the_user_likes_it_and_stays_so(eye):
    panel, layers = eye.bench.window.show_view_panel(), eye.bench.window.canvas.layers
    assert "● NILM" in panel.legend.text()
    panel.shapes.setChecked(True)
    panel.points_only.setChecked(True)
    panel.line.setValue(4)
    panel.opacity.setValue(50)
    eye.session.edits.choose_class("LSIL")
    cell = eye.session.edits.add_point((300, 300))
    eye.settle()
    assert "triangle_up" in layers.points.symbols
    assert layers._cell_markers.opacity == 0.5
    from napari_cyto.widgets.canvas.view_options import ViewOptions, load

    assert load() == ViewOptions(shapes=True, points_only=True, line_px=4, opacity=0.5)
    assert cell.id in eye.bench.window.canvas.shown.annotations
    panel.close()


def f1_shows_the_keys_of_what_has_the_focus(eye):
    main = eye.viewer.window._qt_window
    eye.native.setFocus()
    assert eye.bench.window.show_key_help().place == "slide"
    eye.bench.annotate.selection.note.setEnabled(True)
    eye.bench.annotate.undo.setFocus()
    assert main.focusWidget() is not eye.native
    shown = eye.bench.window.show_key_help()
    assert shown.place == "dock"
    assert ("F1", "Show the keys for what has the focus") in shown.rows
    assert not any(keys == "A" for keys, _ in shown.rows)


def test_what_is_on_the_slide_and_about_it(eye, monkeypatch, tmp_path):
    """One window for all of them, since opening one costs more than they do."""
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    f1_shows_the_keys_of_what_has_the_focus(eye)
    accepted_cells_that_a_filter_hides_are_counted_on_the_slide(eye)
    the_view_is_as_the_user_likes_it_and_stays_so(eye)
    tool_and_class_are_on_the_slide_whatever_dock_is_in_front(eye)
