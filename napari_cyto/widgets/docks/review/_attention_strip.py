"""Over the crop of the cell under review: what the last layer of a vision transformer attends to; off by default."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_cyto.domain.annotation import Annotation
from napari_cyto.inference.embed.attention import AttentionMaps, AttentionOptions, attention_of_cells, side_by_side
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.models.library import models_of_kind
from napari_cyto.models.torch_installed import has_torch, torch_is_missing
from napari_cyto.session import Session
from napari_cyto.vectors import vector_kinds
from napari_cyto.widgets import style
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.pixels import pixmap_of

SIDE_PX = 96
AT_ONCE = 16
"""Cells that are looked at in one go: to start the process takes longer than all of them."""

REST_MS = 400
_KEPT = 500

Key = tuple[str, tuple[float, float], str]


class AttentionStrip(QWidget):
    """Shows the crop of a cell as an encoder sees it, and the encoder's attention over it.

    Parameters
    ----------
    session : Session
        Whose cells they are.
    following : callable
        Returns the cell of an id and those that come after it, at most so many as asked for.
    """

    def __init__(self, session: Session, following: Callable[[str, int], Sequence[Annotation]]) -> None:
        super().__init__()
        self._session, self._following = session, following
        self._cell_id = ""
        self._requested: list[Key] = []
        self._images: dict[Key, tuple[QPixmap, str]] = {}
        self._refused = False
        self.toggle = parts.toggle(
            "Attention of the encoder",
            "Shows what a vision transformer attends to on the cell under review, beside its crop.",
            self._switch,
            name="attention of the encoder",
        )
        self.encoder = Choice()
        self.encoder.setToolTip("The encoder whose attention is shown; it has to be a vision transformer.")
        self.encoder.setAccessibleName("encoder whose attention is shown")
        self.encoder.activated.connect(lambda _row: self._restart())
        self.image = QLabel()
        self.image.setFixedHeight(SIDE_PX)
        self.image.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.image.setAccessibleName("crop, and attention over it")
        self.words = parts.text(colour=style.QUIET)
        self.job = JobBar()
        self.job.ended.connect(self._ended)
        self._rest = later(self, self._ask, REST_MS)
        self.box = parts.column(self.encoder, self.image, self.words, self.job)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.toggle, self.box):
            layout.addWidget(widget)
        self.box.hide()

    def show_for(self, cell_id: str) -> None:
        """Show the attention on a cell, once it is known; an empty id shows none."""
        if cell_id == self._cell_id:
            return
        self._cell_id = cell_id
        if self.toggle.isChecked():
            self._show()

    def clear(self) -> None:
        """Forget what was found: another project is open."""
        self._cell_id, self._requested, self._refused = "", [], False
        self._images.clear()
        self._rest.stop()
        self.job.close_job()
        self.job.running_row.hide()
        self.job.say("")
        self._draw(None)
        if self.toggle.isChecked():
            self._offer()

    def close_job(self) -> None:
        """Stop looking."""
        self._rest.stop()
        self.job.close_job()

    def _switch(self) -> None:
        is_on = self.toggle.isChecked()
        self.box.setVisible(is_on)
        if not is_on:
            self._rest.stop()
            self.job.stop()
            return
        self._offer()
        self._restart()

    def _offer(self) -> None:
        """Offer the encoders of the library, that of the newest vectors at first."""
        before = self.encoder.currentData()
        self.encoder.clear()
        for entry in models_of_kind("encoder"):
            self.encoder.addItem(entry.name, entry.name)
        project = self._session.project
        kinds = () if project is None else vector_kinds(project)
        first = before or (kinds[0].encoder if kinds else None)
        self.encoder.setCurrentIndex(max(0, self.encoder.findData(first)))
        self.encoder.setVisible(self.encoder.count() > 1)

    def _restart(self) -> None:
        self._refused = False
        self.job.say("" if has_torch() else torch_is_missing("Showing the attention"))
        self._show()

    def _keys(self) -> list[Key]:
        """Return the cells to look at: the one under review, and those to come that were not looked at."""
        cells = self._following(self._cell_id, AT_ONCE) if self._cell_id else ()
        named = str(self.encoder.currentData())
        keys = [(cell.id, cell.geometry.centre_yx, named) for cell in cells if not cell.is_region]
        return [key for n, key in enumerate(keys) if n == 0 or key not in self._images]

    def _show(self) -> None:
        keys = self._keys()
        found = self._images.get(keys[0]) if keys else None
        self._draw(found)
        waits = bool(keys) and found is None and not self._refused and has_torch()
        if waits and not (self.job.running and keys[0] in self._requested):
            self._rest.start()

    def _draw(self, found: tuple[QPixmap, str] | None) -> None:
        self.image.setPixmap(QPixmap() if found is None else found[0])
        self.words.setText("" if found is None else found[1])
        self.image.setVisible(found is not None)
        self.words.setVisible(found is not None)

    def _ask(self) -> None:
        project, keys = self._session.project, self._keys()
        if project is None or not keys or not self.toggle.isChecked():
            return
        self._requested = keys
        options = AttentionOptions(encoder=str(self.encoder.currentData() or ""))
        arguments = {"place": project.folder, "cell_ids": [key[0] for key in keys], "options": options}
        self.job.run(attention_of_cells, arguments, "Looking at the cell…")

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        # A refusal holds for the next cell, too.
        self._refused = isinstance(event, Failed)
        if isinstance(event, Done):
            maps: AttentionMaps = event.result
            if len(self._images) > _KEPT:
                self._images.clear()
            for key, cell in zip(self._requested, maps.cells, strict=True):
                self._images[key] = (pixmap_of(side_by_side(cell, SIDE_PX)), maps.words(cell))
            self.job.say("")
            self._show()
