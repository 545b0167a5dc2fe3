"""Promise: in napari's dark and light theme all words and icons have the contrast that WCAG AA asks for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, QRect
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap
from qtpy.QtWidgets import QAbstractButton, QLabel, QWidget

import napari_cyto.widgets
from napari_cyto.widgets import style
from napari_cyto.widgets.docks.train._confusion_grid import RIGHT, WRONG, shade

WORDS, GRAPHICS = 4.5, 3.0
THEMES = {"dark": style.DARK, "light": style.LIGHT}


def ground(theme: str, name: str) -> str:
    return str(getattr(get_theme(theme), name).as_hex("long"))[:7]


def pairs(name: str) -> list[tuple[str, str, str, float]]:
    """What stands on what in a theme: a name for it, both colours, and the contrast that it needs."""
    ours, text, icon = THEMES[name], ground(name, "text"), THEMES[name].icon
    grounds = {g: ground(name, g) for g in ("background", "foreground", "primary", "highlight", "current")}
    found = [(f"text on {g}", text, c, WORDS) for g, c in grounds.items()]
    found += [
        (f"{tone} on {g}", getattr(ours, tone), grounds[g], WORDS)
        for tone in ("good", "bad", "warn", "quiet")
        for g in ("background", "foreground")
    ]
    checked = style.blend("#7f96b4", 70 / 255, grounds["background"])
    found += [
        (f"quiet on {g}", ours.quiet, c, WORDS)
        for g, c in {"a row": grounds["primary"], "a row under the mouse": ours.hovered, "the class": checked}.items()
    ]
    found += [(f"text on {g}", text, c, WORDS) for g, c in {"hovered": ours.hovered, "the class": checked}.items()]
    found += [(f"icon on {g}", icon, grounds[g], GRAPHICS) for g in ("background", "primary", "highlight", "current")]
    found += [(f"focus on {g}", ours.accent, grounds[g], GRAPHICS) for g in ("background", "primary", "current")]
    found += [(f"tick on {g}", ours.good, grounds[g], GRAPHICS) for g in ("primary", "highlight")]
    found += [("rim of the class", ours.rim, grounds["background"], GRAPHICS)]
    found += [(f"curve {c}", getattr(ours, c), grounds["background"], GRAPHICS) for c in ("training", "validation")]
    found += [("curve metric", ours.metric, grounds["background"], GRAPHICS)]
    found += [
        (f"legend over {c}", ours.quiet, style.blend(ours.legend, 0.75, getattr(ours, c)), GRAPHICS)
        for c in ("metric",)
    ]
    found += [("legend", ours.quiet, style.blend(ours.legend, 0.75, grounds["background"]), WORDS)]
    found += [("cannot be used", ours.disabled, grounds["background"], GRAPHICS)]
    for hue in (RIGHT, WRONG):
        for share in (0.0, 0.2, 0.45, 0.46, 0.7, 1.0):
            colour, words = shade(hue, share, ours)
            found.append((f"confusions {share:.0%}", words, colour, WORDS))
    assert ours.table == grounds["foreground"]
    return found


@pytest.mark.parametrize("name", THEMES)
def test_each_colour_reads_on_each_ground_that_it_stands_on(name: str) -> None:
    weak = [
        f"{what}: {style.contrast(one, other):.2f} of {needed}"
        for what, one, other, needed in pairs(name)
        if style.contrast(one, other) < needed
    ]
    assert not weak


def test_contrast_is_that_of_wcag() -> None:
    assert style.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert style.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert style.contrast("#123456", "#123456") == 1


def test_no_dock_has_colours_of_its_own() -> None:
    """Who writes a colour into a dock has looked at it in one theme only."""
    own = {
        "scheme_dialog.py",
        "review_delegate.py",
        "confusion_grid.py",
        "slide_list.py",
        "class_recall.py",
        "dot_plot.py",
    }
    folder = Path(napari_cyto.widgets.__file__).parent / "docks"
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(folder.glob("*.py"))
        if path.name not in own
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"#[0-9a-fA-F]{6}\b|[^-]color: ", line)
    ]
    assert not found


def test_an_icon_has_the_colour_of_the_theme_in_which_it_is_painted(qtbot: Any) -> None:
    icon = style.icon("add")
    shown = {}
    for name, theme in THEMES.items():
        holder = QWidget()
        qtbot.addWidget(holder)
        holder.setStyleSheet(f"QWidget {{ background-color: {ground(name, 'background')}; }}")
        holder.ensurePolished()
        assert style.follow(holder) is theme
        shown[name] = strongest(icon.pixmap(32, 32).toImage())
        assert shown[name] == theme.icon
    faded = icon.pixmap(32, 32, QIcon.Mode.Disabled).toImage()
    assert max(QColor(faded.pixel(x, y)).alpha() for x in range(32) for y in range(32)) > 0


def strongest(image: QImage) -> str:
    opaque = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return str(Counter(c.name() for c in opaque if c.alpha() == 255).most_common(1)[0][0])


def test_all_words_of_the_window_are_readable_in_both_themes(window_bench: Any) -> None:
    """As painted: the theme is switched while the window is open, there and back."""
    bench, appearance = window_bench, get_settings().appearance
    bench.mark(2)
    before = appearance.theme
    try:
        for theme in ("light", "dark", "light"):
            appearance.theme = theme
            bench.settle()
            weak = [fault for dock in bench.window.docks.values() for fault in unreadable(dock)]
            assert not weak, theme
    finally:
        appearance.theme = before


def unreadable(dock: QWidget) -> list[str]:
    """Words of a dock whose colour is too near to what most of their ground is painted in."""
    found = []
    for widget in dock.findChildren(QWidget):
        if not isinstance(widget, QLabel | QAbstractButton) or not widget.text() or not widget.isEnabled():
            continue
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        words = widget.palette().color(widget.foregroundRole()).name()
        ratio = style.contrast(words, painted_ground(dock, widget))
        if ratio < WORDS:
            found.append(f"{dock.windowTitle()}: {widget.text()[:40]!r} {ratio:.2f}")
    return found


def painted_ground(dock: QWidget, widget: QWidget) -> str:
    place = QRect(widget.mapTo(dock, QPoint(0, 0)), widget.size())
    pixels: QPixmap = dock.grab(place)
    image = pixels.toImage()
    step_y = max(1, image.height() // 12)
    seen = Counter(
        image.pixelColor(x, y).name() for y in range(0, image.height(), step_y) for x in range(0, image.width(), 5)
    )
    return str(seen.most_common(1)[0][0])
