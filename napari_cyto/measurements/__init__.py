"""What is measured on the outlines of cells: pure numbers from pixels and rings, in µm."""

from napari_cyto.measurements._cell import measured_cell
from napari_cyto.measurements._columns import COLUMNS, MULTIPLE, TABLE_COLUMNS, Column
from napari_cyto.measurements._kept import measurements_folder
from napari_cyto.measurements._measure import measure
from napari_cyto.measurements._measured import Measured, SlideMeasurements, SlideNotMeasured
from napari_cyto.measurements._outlined_cells import MeasureOptions
from napari_cyto.measurements._reference import Reference, reference_nucleus
from napari_cyto.measurements._stored import stored_measurements

__all__ = [
    "COLUMNS",
    "MULTIPLE",
    "TABLE_COLUMNS",
    "Column",
    "MeasureOptions",
    "Measured",
    "Reference",
    "SlideMeasurements",
    "SlideNotMeasured",
    "measure",
    "measured_cell",
    "measurements_folder",
    "reference_nucleus",
    "stored_measurements",
]
