"""The label formats by name; filled when the package is imported, so that a format may look among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_cyto.formats.label_format import LabelFormat

FORMATS: dict[str, LabelFormat] = {}
"""Every label format by its name."""
