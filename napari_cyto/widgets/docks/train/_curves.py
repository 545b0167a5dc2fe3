"""Live curves of a training run: the loss on both sides, and what it is maximised for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor, QWheelEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.training.run_state import Epoch, RunState
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.metric_rows import readable

PLOT_HEIGHT_PX = 158
# A flat curve may pass under the legend, whose words must stay readable.
LEGEND_OPACITY = 0.75
SCORE = "score"


class _Plot(pg.PlotWidget):
    """A plot that is looked at, never dragged; the wheel scrolls the dock."""

    def __init__(self, y_label: str, tip: str, rising: bool = False) -> None:
        super().__init__(background=None)
        self.setFixedHeight(PLOT_HEIGHT_PX)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setMenuEnabled(False)
        self.setMouseEnabled(False, False)
        self.hideButtons()
        self.showGrid(x=True, y=True, alpha=0.18)
        for side, label in (("left", y_label), ("bottom", "epoch")):
            axis = self.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setLabel(label)
        self.getAxis("left").setWidth(52)
        # Where the curve will not be: losses fall, figures rise.
        corner = (-6, -4) if rising else (-6, 4)
        self.legend = self.addLegend(offset=corner, verSpacing=-6)
        self._lines: list[tuple[pg.PlotDataItem, str, Qt.PenStyle]] = []

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Leave the wheel to what the plot lies in."""
        event.ignore()

    def line(self, name: str, tone: str, dashed: bool = False) -> pg.PlotDataItem:
        """Return a new curve with points at the epochs; dashes tell curves apart in grey, too."""
        made = self.plot(name=name, symbol="s" if dashed else "o", symbolSize=5, symbolPen=None)
        self._lines.append((made, tone, Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine))
        return made

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Fit the theme of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            style.follow(self)
            self.show_theme()

    def show_theme(self) -> None:
        """Draw axes, curves and legend in the colours of the theme."""
        colours = style.theme()
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(pg.mkPen(QColor(colours.quiet)))
            axis.setTextPen(pg.mkPen(QColor(colours.quiet)))
        for line, tone, shape in self._lines:
            line.setPen(pg.mkPen(QColor(style.colour(tone)), width=2, style=shape))
            line.setSymbolBrush(QColor(style.colour(tone)))
        ground = QColor(colours.legend)
        ground.setAlphaF(LEGEND_OPACITY)
        self.legend.setBrush(pg.mkBrush(ground))
        self.legend.setLabelTextColor(QColor(colours.quiet))

    def fit(self, last: float) -> None:
        """Show all epochs from the first one to ``last``; whole numbers only, as there are no half epochs."""
        self.setXRange(0.5, max(last, 2) + 0.5, padding=0)
        step = max(1, round(last / 6))
        self.getAxis("bottom").setTickSpacing(major=step, minor=step)


class TrainingCurves(QWidget):
    """Shows the epochs of a run as two plots and, in words, where it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = _Plot("loss", "Loss on the training and validation cells.")
        self._train = self.loss.line("training", style.TRAINING, dashed=True)
        self._validation = self.loss.line("validation", style.VALIDATION)
        self.metric = _Plot("share", "Score on the validation cells after each epoch.", rising=True)
        self._metric = self.metric.line("validation", style.METRIC)
        self._best = pg.InfiniteLine(angle=90, pen=pg.mkPen(QColor(style.DARK.rim), style=Qt.PenStyle.DotLine))
        self.metric.addItem(self._best, ignoreBounds=True)
        self.which = Choice()
        self.which.setToolTip("Metric of the lower curve, on the validation cells.")
        self.which.setAccessibleName("metric of the lower curve")
        self.which.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.which.activated.connect(lambda _index: self._draw())
        self.words = parts.text(colour=style.QUIET, selectable=True)
        self._state = RunState()
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.loss, self.which, self.metric, self.words):
            layout.addWidget(widget)
        for plot in (self.loss, self.metric):
            plot.show_theme()

    def show_state(self, state: RunState) -> None:
        """Show the epochs of ``state``; nothing is drawn when they are those on screen."""
        if state.epochs is self._state.epochs and state.of_epochs == self._state.of_epochs:
            return
        self._state = state
        self._offer(metric_names(state))
        self._draw()

    def _offer(self, names: Sequence[str]) -> None:
        shown = [self.which.itemData(i) for i in range(self.which.count())]
        if list(names) == shown:
            return
        before = self.which.currentData()
        self.which.clear()
        for name in names:
            self.which.addItem(score_words(self._state) if name == SCORE else readable(name), name)
        self.which.setCurrentIndex(max(0, self.which.findData(before)))

    def _draw(self) -> None:
        epochs = self._state.epochs
        last = max(self._state.of_epochs, epochs[-1].number if epochs else 1)
        _fill(self._train, epochs, lambda e: e.train_loss)
        _fill(self._validation, epochs, lambda e: e.val_loss)
        name = self.which.currentData() or SCORE
        _fill(self._metric, epochs, lambda e: value_of(e, name))
        axis = readable(self._state.score_name or SCORE) if name == SCORE else readable(name)
        self.metric.setLabel("left", axis)
        best = self._state.best
        self._best.setVisible(best is not None)
        if best is not None:
            self._best.setValue(best.number)
        for plot in (self.loss, self.metric):
            plot.fit(last)
        self.words.setText(words_of(self._state))


def metric_names(state: RunState) -> list[str]:
    """Return what can be drawn, what is maximised first."""
    names = [SCORE] if any(e.score is not None for e in state.epochs) else []
    for epoch in state.epochs:
        names += [n for n in epoch.metrics if n not in names and readable(n) != readable(state.score_name)]
    return names


def value_of(epoch: Epoch, name: str) -> float | None:
    """Return one figure of an epoch."""
    return epoch.score if name == SCORE else epoch.metrics.get(name)


def score_words(state: RunState) -> str:
    """Return what the list calls the score: ``Macro F1 (what this run maximises)``."""
    return f"{readable(state.score_name or SCORE)} (what this run maximises)"


def words_of(state: RunState) -> str:
    """Return the last epoch and the best one in a sentence each."""
    if not state.epochs:
        return "No epoch finished yet."
    last, best = state.epochs[-1], state.best
    figures = [
        f"{name} {value:.3f}"
        for name, value in (
            ("training loss", last.train_loss),
            ("validation loss", last.val_loss),
            (readable(state.score_name or SCORE), last.score),
        )
        if value is not None
    ]
    said = f"Epoch {last.number:g}: " + ", ".join(figures) + "."
    if best is not None and best.score is not None:
        said += f" Best so far: epoch {best.number:g} with {best.score:.3f} (dotted line)."
    return said


def _fill(line: pg.PlotDataItem, epochs: Sequence[Epoch], value: Callable[[Epoch], float | None]) -> None:
    points = [(e.number, v) for e in epochs if (v := value(e)) is not None]
    line.setData([x for x, _ in points], [y for _, y in points])
