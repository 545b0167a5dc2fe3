"""What the dock Measure costs with 100,000 cells: reading, sorting, filtering, drawing; until painted, no GPU.

    python benchmarks/measuring.py [--cells 100000] [--measured 200]

Needs a screen; Xvfb will do: ``xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/measuring.py``.

The table and the scatter alone, not in napari's window. The last line is one JSON object: seconds until a sort by a
number and one by a text is painted, until a filter is, of a scatter drawn anew; seconds to read what is kept of a
project of so many outlined cells; and milliseconds to measure one cell.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import CellOutline
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.jobs.events import Done
from napari_cyto.measurements import CellTable, MeasureOptions, measure, stored_measurements
from napari_cyto.measurements._kept import Kept, keep_measurements
from napari_cyto.measurements._outlined_cells import outlined_cells
from napari_cyto.store import Project

SIDE_PX, APART_PX, RADIUS_PX, MPP = 2048, 40, 12, 0.25


def ring(y: float, x: float, radius: float) -> tuple[tuple[float, float], ...]:
    """Return a circle of 40 corners, level-0 px."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return tuple(zip((y + radius * np.sin(angles)).tolist(), (x + radius * np.cos(angles)).tolist(), strict=True))


def outlined(folder: Path, cells: int, classes: tuple[str, ...] = ("NILM", "LSIL", "HSIL")) -> Path:
    """Make a project of one image with so many outlined cells, in rows; most lie beyond the pixels."""
    rng = np.random.default_rng(0)
    path = folder / "field.png"
    Image.fromarray(rng.integers(60, 240, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)).save(path)
    with Project.create(folder / "p.cyto", preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="field", path=str(path), size_hw=(SIDE_PX, SIDE_PX), mpp=MPP)])
        slide = project.slides()[0]
        across = SIDE_PX // APART_PX - 1
        made = [
            Annotation(
                slide_id=slide.id,
                geometry=CellOutline(ring(y, x, RADIUS_PX), ring(y, x, 1.4 * RADIUS_PX), accepted=n % 3 > 0),
                class_id=classes[n % 3],
            )
            for n in range(cells)
            for y, x in [(APART_PX * (1 + n // across), APART_PX * (1 + n % across))]
        ]
        for start in range(0, cells, 20_000):
            project.apply(add(made[start : start + 20_000], "Draw"), "benchmark")
    return folder / "p.cyto"


def measured_ms(folder: Path, cells: int) -> float:
    """Return how long one cell takes to measure, ms."""
    place = outlined(folder, cells)
    begin = time.perf_counter()
    last = list(measure(place, MeasureOptions()))[-1]
    took = time.perf_counter() - begin
    if not isinstance(last, Done) or last.result.cells != cells:
        raise SystemExit(f"Not all cells were measured: {last}")
    return round(1e3 * took / cells, 2)


def read_s(folder: Path, cells: int) -> tuple[float, float, CellTable]:
    """Return how long what is kept of so many cells takes to read: after an edit, and with nothing new; s."""
    place = outlined(folder, cells)
    rng = np.random.default_rng(1)
    with Project.open(place) as project:
        record = project.slides()[0]
        shapes = outlined_cells(project, record.id, MeasureOptions()).shapes
        values = rng.lognormal(size=(cells, len(CellTable(stored_measurements(project)).values[0:0].T) - 1))
        kept = Kept.nothing(MPP, (SIDE_PX, SIDE_PX)).with_rows(shapes, values, np.ones(cells, bool), shapes)
        keep_measurements(project, record, kept)
        took = []
        begin = time.perf_counter()
        table = CellTable(stored_measurements(project))
        took.append(time.perf_counter() - begin)
        for event in measure(place, MeasureOptions()):
            if isinstance(event, Done) and event.result.cells != cells:
                raise SystemExit("Not all cells are kept.")
        begin = time.perf_counter()
        stored_measurements(project)
        took.append(time.perf_counter() - begin)
    return took[0], took[1], table


def shown(table: CellTable) -> dict[str, float]:
    """Return how long the table and the scatter take until they are painted, s."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication, QTableView

    from napari_cyto.widgets.docks.measure._cell_model import CellModel
    from napari_cyto.widgets.docks.measure._scatter import Scatter

    app = QApplication.instance() or QApplication([])
    model, view, scatter = CellModel(), QTableView(), Scatter()
    view.setModel(model)
    view.setSortingEnabled(True)
    view.resize(340, 400)
    scatter.resize(340, 400)
    view.show()
    scatter.show()
    every = np.arange(len(table))
    values = np.stack([table.column("nucleus_area_um2"), table.column("nc_ratio")], axis=1)

    def until_painted(act: Callable[[], object]) -> float:
        took = []
        for _ in range(5):
            begin = time.perf_counter()
            act()
            view.repaint()
            scatter.repaint()
            app.processEvents()
            took.append(time.perf_counter() - begin)
        return round(float(np.median(took)), 3)

    def sort(key: str) -> None:
        up = Qt.SortOrder.AscendingOrder
        view.sortByColumn(model.keys.index(key), Qt.SortOrder.DescendingOrder if model.is_falling is False else up)

    model.show_rows(table, every, {}, blind=False)
    low, high = np.nanpercentile(table.column("nc_ratio"), (25, 75))
    return {
        "sort_by_number_s": until_painted(lambda: sort("nucleus_area_um2")),
        "sort_by_class_s": until_painted(lambda: sort("class")),
        "filter_s": until_painted(
            lambda: model.show_rows(table, np.flatnonzero(table.between("nc_ratio", low, high)), {}, blind=False)
        ),
        "scatter_s": until_painted(
            lambda: scatter.show_values(("a", "b"), values, np.full(len(table), 0xFF56B4E9, np.uint32), stay=False)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="cells in the table")
    parser.add_argument("--measured", type=int, default=200, help="cells that are measured")
    given = parser.parse_args()
    found: dict[str, float] = {"cells": given.cells}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found["measure_one_cell_ms"] = measured_ms(Path(one), given.measured)
        after_edit, unchanged, table = read_s(Path(other), given.cells)
    found |= {"read_after_an_edit_s": round(after_edit, 2), "read_unchanged_s": round(unchanged, 2), **shown(table)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
