"""What a data set with images is made of: whole images or tiles, which cells are on a tile, and the split."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.datasets import ImageExportOptions
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.options_form import OptionsForm
from napari_cyto.widgets.docks.section import Section

_IMAGES = ("images",)
_WHOLE = ("unannotated",)
_TILES = ("tile_px", "tile_mpp", "tile_unit", "keep", "empty_share", "tile_type")
_SPLIT = ("validation_share", "test_share", "by", "seed", "published", "twins")
_WITH_TILES, _WITH_WHOLE = frozenset({"auto", "tiles"}), frozenset({"auto", "copy", "link"})

_TITLES = {
    "unannotated": "Include images without annotations",
    "tile_px": "Tile size, px",
    "tile_mpp": "Scale, µm per px",
    "tile_unit": "Tiles are cut at",
    "by": "Keep together",
    "published": "Keep sets that came with the data",
    "twins": "Compare the cells of all slides",
}

_VALUE_WORDS = {
    "images.auto": "automatic (recommended)",
    "images.tiles": "cut everything into tiles",
    "images.copy": "copy whole images",
    "images.link": "link to whole images",
    "images.none": "none, labels only",
    "tile_unit.um": "this scale",
    "tile_unit.px": "full resolution",
    "keep.half": "where half of the cell is, or its centre",
    "keep.centre": "where its centre is",
    "keep.whole": "only if the whole cell is inside",
    "by.auto": "patient, else smear, else image",
    "tile_type.png": "PNG",
    "tile_type.jpeg": "JPEG",
}
_MEANING = {
    "auto": "Fields of view are copied as they are; whole slides are cut into tiles where cells are annotated.",
    "tiles": "Fields of view and slides are cut into tiles where cells are annotated.",
    "copy": "Each image is copied as it is. Whole slides cannot be: no trainer reads them.",
    "link": "Nothing is copied: the data set works as long as the originals stay where they are.",
    "none": "No images and no split: for programs that have the images, not for training.",
}


class ImageSetForm(QWidget):
    """The options of a data set with images; ``changed`` speaks whenever the user changes one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.images = _form(_IMAGES)
        self.meaning = parts.text(colour=style.QUIET)
        self.whole = _form(_WHOLE)
        self.tiles = _form(_TILES)
        self.split = _form(_SPLIT)
        self.tiles_section = Section(
            "Tiles", self.tiles, tip="Size and scale of the tiles, and which cells are on them."
        )
        self.split_section = Section(
            "Training, validation and test set",
            self.split,
            tip="How the patients or smears are divided; none is ever in two sets.",
        )
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.images, self.meaning, self.whole, self.tiles_section, self.split_section):
            layout.addWidget(widget)
        for form in (self.images, self.whole, self.tiles, self.split):
            form.changed.connect(self._changed)
        self._show_what_counts()

    @property
    def mode(self) -> str:
        """What becomes of the images: a value of ``ImageExportOptions.images``."""
        return str(self.images.controls["images"].read())

    def values(self) -> dict[str, Any]:
        """Return what the user chose, by the fields of ``ImageExportOptions``.

        Raises
        ------
        FormatError
            Naming the first option that is out of its range.
        """
        return self.images.values() | self.whole.values() | self.tiles.values() | self.split.values()

    def _changed(self) -> None:
        self._show_what_counts()
        self.changed.emit()

    def _show_what_counts(self) -> None:
        self.meaning.setText(_MEANING[self.mode])
        self.whole.setVisible(self.mode in _WITH_WHOLE)
        self.tiles_section.setVisible(self.mode in _WITH_TILES)
        self.split_section.setVisible(self.mode != "none")


def _form(shown: Collection[str]) -> OptionsForm:
    form = OptionsForm()
    hidden = [name for name in ImageExportOptions.model_fields if name not in shown]
    form.show_model(ImageExportOptions, hidden, _TITLES, lambda field, value: _VALUE_WORDS.get(f"{field}.{value}", ""))
    return form
