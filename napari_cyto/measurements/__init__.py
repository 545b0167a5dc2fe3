"""What is measured on the outlines of cells: pure numbers from pixels and rings, in µm."""

from napari_cyto.measurements._cell import measured_cell
from napari_cyto.measurements._cell_table import COLUMN_OF, HEADINGS, CellTable
from napari_cyto.measurements._columns import COLUMNS, MULTIPLE, TABLE_COLUMNS, Column
from napari_cyto.measurements._kept import measurements_folder
from napari_cyto.measurements._measure import measure
from napari_cyto.measurements._measured import Measured, SlideMeasurements, SlideNotMeasured
from napari_cyto.measurements._outlined_cells import MeasureOptions
from napari_cyto.measurements._qupath import OUTLINE_ACCEPTED, qupath_numbers
from napari_cyto.measurements._reference import Reference, reference_nucleus
from napari_cyto.measurements._stored import stored_measurements
from napari_cyto.measurements._table_file import check_table_file, write_table

__all__ = [
    "COLUMNS",
    "COLUMN_OF",
    "HEADINGS",
    "MULTIPLE",
    "OUTLINE_ACCEPTED",
    "TABLE_COLUMNS",
    "CellTable",
    "Column",
    "MeasureOptions",
    "Measured",
    "Reference",
    "SlideMeasurements",
    "SlideNotMeasured",
    "check_table_file",
    "measure",
    "measured_cell",
    "measurements_folder",
    "qupath_numbers",
    "reference_nucleus",
    "stored_measurements",
    "write_table",
]
