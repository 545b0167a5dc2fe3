"""What is measured on the outlines of cells: pure numbers from pixels and rings, in µm."""

from napari_cyto.measurements._cell import measured_cell
from napari_cyto.measurements._columns import COLUMNS, Column
from napari_cyto.measurements._measure import Measured, MeasureOptions, measure
from napari_cyto.measurements._reference import Reference, reference_nucleus

__all__ = [
    "COLUMNS",
    "Column",
    "MeasureOptions",
    "Measured",
    "Reference",
    "measure",
    "measured_cell",
    "reference_nucleus",
]
