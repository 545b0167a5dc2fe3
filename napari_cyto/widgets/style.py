"""Colours, icons and colour swatches that fit the theme of the window, also when it is changed while it is open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from napari.settings import get_settings
from qtpy.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QIconEngine, QPainter, QPalette, QPen, QPixmap
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QWidget

from napari_cyto.domain.resources import resource_path

ICON_PX = 64
DISABLED_OPACITY = 0.45
# Tones: what words or an icon are for; the theme gives each its colour.
GOOD, BAD, WARN, QUIET, ICON = "good", "bad", "warn", "quiet", "icon"
# Lines of a plot.
TRAINING, VALIDATION, METRIC = "training", "validation", "metric"
TONE = "tone"


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme, each ``#rrggbb``.

    Words reach a contrast of 4.5 on every ground on which they stand, lines and icons 3.

    Parameters
    ----------
    good, bad, warn, quiet : str
        Of words.
    icon, disabled, line, rim, accent : str
        Of icons; of words that cannot be used now; of lines between parts; of marks round what may have any colour;
        of the frame round what has the keyboard.
    training, validation, metric : str
        Of curves.
    legend, hovered, table : str
        Grounds: under the names of curves, under words in quiet where the mouse is, and that of napari's tables.

    Source
    ------
    Contrast: WCAG 2.2, success criteria 1.4.3 and 1.4.11. Curves: Okabe and Ito 2008, Color Universal Design, darkened
    for the light theme.
    """

    good: str
    bad: str
    warn: str
    quiet: str
    icon: str
    disabled: str
    line: str
    rim: str
    accent: str
    training: str
    validation: str
    metric: str
    legend: str
    hovered: str
    table: str


DARK = Theme(
    good="#6fdc9a",
    bad="#ff9a91",
    warn="#efb548",
    quiet="#c8cdd4",
    icon="#d1d2d4",
    disabled="#959ca6",
    line="#596270",
    rim="#a0a5ac",
    accent="#a9c6ff",
    training="#e69f00",
    validation="#56b4e9",
    metric="#2fbf94",
    legend="#26292f",
    hovered="#4c545f",
    table="#2e333e",
)
LIGHT = Theme(
    good="#0a5426",
    bad="#8e1412",
    warn="#603f00",
    quiet="#404348",
    icon="#3e3f41",
    disabled="#6c6d70",
    line="#a3a09d",
    rim="#5d6269",
    accent="#123fae",
    training="#8a5200",
    validation="#0a5f9e",
    metric="#0b6a4c",
    legend="#f4f1f0",
    hovered="#bab8b5",
    table="#dddad8",
)
# A theme of a plugin is light when black words read better on it than white ones.
_LIGHT_FROM = 0.18
_theme = DARK


def theme() -> Theme:
    """Return the theme in which the window was last painted."""
    return _theme


def colour(tone: str) -> str:
    """Return the colour of a tone in the theme of now; a colour of one's own stays as it is."""
    return str(getattr(_theme, tone, tone))


def follow(widget: QWidget) -> Theme:
    """Take the theme that a widget has been given by its window, and return it."""
    global _theme
    ground = widget.palette().color(QPalette.ColorRole.Window)
    _theme = LIGHT if luminance(ground.name()) > _LIGHT_FROM else DARK
    return _theme


def tint(widget: QWidget, tone: str) -> None:
    """Give the words of a widget a tone; an empty one gives them the window's own colour."""
    if (widget.property(TONE) or "") != tone:
        widget.setProperty(TONE, tone)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def sheet(colours: Theme, size_pt: int) -> str:
    """Return the rules that a dock lays over those of napari.

    Parameters
    ----------
    colours : Theme
        Of the window.
    size_pt : int
        Of its usual letters.
    """
    tones = "".join(
        f'QLabel[{TONE}="{tone}"], QLineEdit[{TONE}="{tone}"] {{ color: {getattr(colours, tone)}; }}'
        for tone in (GOOD, BAD, WARN, QUIET)
    )
    focus = f"border: 1px solid {colours.accent};"
    return (
        tones
        + "QPushButton:disabled, QComboBox:disabled, QCheckBox:disabled, QRadioButton:disabled, QLineEdit:disabled,"
        + f" QAbstractSpinBox:disabled, QLabel:disabled {{ color: {colours.disabled}; }}"
        # One px of the margin inside becomes the frame: nothing moves when the keyboard comes.
        + f"QPushButton:focus {{ {focus} padding: 3px; }}"
        + f"QComboBox:focus {{ {focus} padding: 2px 9px 2px 7px; }}"
        + f"QLineEdit:focus {{ {focus} padding: 1px; }}"
        + f"QAbstractSpinBox:focus {{ {focus} padding: 0px 9px; }}"
        + f"QCheckBox:focus, QRadioButton:focus, QSlider:focus {{ {focus} padding: 0px; }}"
        + f"QAbstractItemView:focus {{ {focus} padding: 0px; }}"
        + "QPushButton[role=section] { text-align: left; border: none; background: transparent; font-weight: bold;"
        + " padding: 2px; }"
        + f"QPushButton[role=section]:focus {{ {focus} padding: 1px; }}"
        + f"QFrame[role=line] {{ background: {colours.line}; border: none; }}"
        + f"ClassRow QLabel[{TONE}={QUIET}] {{ font-size: {max(7, size_pt - 1)}pt; }}"
        + f"ClassRow:hover {{ background: {colours.hovered}; }}"
        + f"ClassRow:checked {{ border: 1px solid {colours.rim}; background: rgba(127, 150, 180, 70); }}"
        + f"ClassRow:focus {{ border-top: 1px solid {colours.accent}; border-bottom: 1px solid {colours.accent}; }}"
    )


def dress(widget: QWidget) -> None:
    """Lay our rules over those of napari, in the colours of the theme that ``widget`` has."""
    rules = sheet(follow(widget), get_settings().appearance.font_size)
    if widget.styleSheet() != rules:
        widget.setStyleSheet(rules)


def luminance(hex_colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, 0 for black to 1 for white.

    Source
    ------
    WCAG 2.2, definition of relative luminance.
    """
    shares = [int(hex_colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours ``#rrggbb``, 1 to 21.

    Source
    ------
    WCAG 2.2, definition of contrast ratio.
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def blend(top: str, opacity: float, below: str) -> str:
    """Return the colour that ``top`` gives over ``below``, all ``#rrggbb``."""
    shares = [(int(top[i : i + 2], 16), int(below[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(opacity * over + (1 - opacity) * under):02x}" for over, under in shares)


class _ThemedIcon(QIconEngine):
    """Draws a shipped icon in the colour of the theme that the window has when it is painted."""

    def __init__(self, name: str, tone: str) -> None:
        super().__init__()
        self._name = name
        self._tone = tone

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        """Draw it, paler where its button is disabled."""
        painter.save()
        painter.setOpacity(DISABLED_OPACITY if mode == QIcon.Mode.Disabled else 1.0)
        side = min(rect.width(), rect.height())
        place = QRectF(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2, side, side)
        _drawing(self._name, colour(self._tone)).render(painter, place)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Return it as pixels."""
        made = QPixmap(size)
        made.fill(Qt.GlobalColor.transparent)
        painter = QPainter(made)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return made

    def clone(self) -> QIconEngine:
        """Return another one of the same kind."""
        return _ThemedIcon(self._name, self._tone)


@lru_cache(maxsize=256)
def _drawing(name: str, hex_colour: str) -> QSvgRenderer:
    text = resource_path("icons", f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", hex_colour)
    return QSvgRenderer(QByteArray(text.encode()))


def icon(name: str, tone: str = ICON) -> QIcon:
    """Return the shipped icon ``name`` in a tone, whatever the theme becomes."""
    return QIcon(_ThemedIcon(name, tone))


@lru_cache(maxsize=256)
def swatch(colour: str, side_px: int = 32) -> QPixmap:
    """Return a rounded square of ``colour`` with a rim that shows black on dark and white on light."""
    pixmap = QPixmap(side_px, side_px)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(QPen(QColor(125, 130, 138), side_px / 16))
    inset = side_px / 10
    painter.drawRoundedRect(QRectF(inset, inset, side_px - 2 * inset, side_px - 2 * inset), inset, inset)
    painter.end()
    return pixmap


def swatch_icon(colour: str) -> QIcon:
    """Return ``swatch`` as an icon."""
    return QIcon(swatch(colour))
