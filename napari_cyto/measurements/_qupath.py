"""Measurements as QuPath's cells carry them: names with units, numbers only."""

from __future__ import annotations

import numpy as np

from napari_cyto.domain.label_set import CellNumbers
from napari_cyto.measurements._cell_table import CellTable
from napari_cyto.measurements._columns import TABLE_COLUMNS

OUTLINE_ACCEPTED = "Outline accepted"
"""1 where a person drew or accepted the outline, 0 where all other numbers are uncertain: QuPath knows only numbers."""


def qupath_numbers(table: CellTable) -> CellNumbers:
    """Return the numbers of measured cells by the names of QuPath.

    What is certain comes first: 1 or 0 for whether the outline was accepted, then for what speaks against the nucleus.

    Source
    ------
    Names as in QuPath's cell detection and shape features: "Nucleus: Area µm^2", "Nucleus/Cell area ratio".
    """
    facts = {
        OUTLINE_ACCEPTED: table.accepted,
        "Nucleus: Out of focus": table.out_of_focus,
        "Nucleus: Touching": table.touches,
        "Nucleus: Cut by border": table.cut,
    }
    names = (*facts, *(column.qupath for column in TABLE_COLUMNS))
    values = np.column_stack([*(flags.astype(np.float64) for flags in facts.values()), table.values])
    return CellNumbers(names, table.row_of, values)
