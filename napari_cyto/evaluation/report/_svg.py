"""Drawing in SVG, as little of it as the charts of a report need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_cyto.evaluation.report.markup import Html, element, join

INK, GRID, SOFT = "#1c2530", "#e1e6ea", "#5b6772"
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 40


@dataclass(frozen=True)
class Frame:
    """A plot's axes: data ranges, size in CSS px, words.

    Parameters
    ----------
    title, x_label, y_label : str
        What people read.
    x_range, y_range : tuple of float
        Smallest and largest value.
    size : tuple of int
        Width and height, CSS px, words included.
    x_ticks, y_ticks : sequence of float
        Where lines and numbers stand.
    """

    title: str
    x_label: str
    y_label: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    size: tuple[int, int] = (330, 290)
    x_ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1.0)
    y_ticks: Sequence[float] = (0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def x(self, value: float) -> float:
        """Return the place of a value from the left, CSS px."""
        low, high = self.x_range
        return LEFT + (self.size[0] - LEFT - RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Return the place of a value from the top, CSS px."""
        low, high = self.y_range
        return self.size[1] - BOTTOM - (self.size[1] - TOP - BOTTOM) * (value - low) / (high - low)

    def drawn(self, *inside: Html) -> Html:
        """Return the plot with what is drawn inside its axes."""
        width, height = self.size
        names = (
            text(self.title, LEFT, 15, weight="600", size=12),
            text(self.x_label, (LEFT + width - RIGHT) / 2, height - 6, anchor="middle", colour=SOFT),
            text(self.y_label, 11, (TOP + height - BOTTOM) / 2, anchor="middle", colour=SOFT, turned=True),
        )
        viewed = f"0 0 {width} {height}"
        return element(
            "svg", *self._grid(), *inside, *names, viewBox=viewed, width=width, height=height, role="img", cls="plot"
        )

    def _grid(self) -> Iterable[Html]:
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        for value in self.x_ticks:
            yield line([(self.x(value), self.y(y0)), (self.x(value), self.y(y1))], GRID, 1)
            yield text(f"{value:g}", self.x(value), self.y(y0) + 14, anchor="middle", colour=SOFT, size=10)
        for value in self.y_ticks:
            yield line([(self.x(x0), self.y(value)), (self.x(x1), self.y(value))], GRID, 1)
            yield text(f"{value:g}", self.x(x0) - 5, self.y(value) + 3.5, anchor="end", colour=SOFT, size=10)

    def curve(self, points: Iterable[Sequence[float]], colour: str, width: float = 1.8, dashes: str = "") -> Html:
        """Return a line through data points; on a pale casing's dark edge, so that light colours show on white."""
        placed = [(self.x(float(p[0])), self.y(float(p[1]))) for p in points]
        if len(placed) < 2:
            return Html("")
        casing = line(placed, INK, width + 0.9, opacity=0.45) if not dashes else None
        return join((casing, line(placed, colour, width, dashes)))


def line(
    points: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "", opacity: float | None = None
) -> Html:
    """Return a line through places in CSS px, x before y."""
    placed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element(
        "polyline",
        points=placed,
        fill="none",
        stroke=colour,
        stroke_width=width,
        stroke_dasharray=dashes or None,
        stroke_linejoin="round",
        opacity=opacity,
    )


def rectangle(x: float, y: float, width: float, height: float, colour: str, opacity: float | None = None) -> Html:
    """Return a filled rectangle, CSS px."""
    placed = {
        name: f"{value:.1f}" for name, value in zip(("x", "y", "width", "height"), (x, y, width, height), strict=True)
    }
    return element("rect", fill=colour, opacity=opacity, **placed)


def dot(x: float, y: float, radius: float, colour: str) -> Html:
    """Return a filled circle, CSS px."""
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, fill=colour, stroke=INK, stroke_width=0.6)


def text(
    words: str,
    x: float,
    y: float,
    anchor: str = "start",
    colour: str = INK,
    size: int = 11,
    weight: str | None = None,
    turned: bool = False,
) -> Html:
    """Return words at a place in CSS px, read upwards when ``turned``."""
    turn = f"rotate(-90 {x:.1f} {y:.1f})" if turned else None
    return element(
        "text",
        words,
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        text_anchor=anchor,
        fill=colour,
        font_size=size,
        font_weight=weight,
        transform=turn,
    )


def legend(frame: Frame, entries: Sequence[tuple[str, str]]) -> Html:
    """Return names with their colours in the lower right corner of a plot."""
    left = frame.x(frame.x_range[1]) - 148
    bottom = frame.y(frame.y_range[0]) - 8
    first = bottom - 14 * (len(entries) - 1)
    back = rectangle(left - 4, first - 11, 150, 14 * len(entries) + 3, "#ffffff", opacity=0.85)
    rows = []
    for number, (name, colour) in enumerate(entries):
        y = first + 14 * number
        rows += [rectangle(left, y - 7, 12, 6, colour), text(name, left + 17, y, size=10)]
    return join((back, *rows))
