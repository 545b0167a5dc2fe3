"""Go to a place by its coordinates, typed or pasted."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QWidget

from napari_cyto.domain.bookmark import place_of_words, words_of_place
from napari_cyto.domain.geometry import YX, is_on_image
from napari_cyto.errors import CytoError
from napari_cyto.session import Session


class PlaceDialog(QDialog):
    """A small window over the slide that asks for ``x, y``.

    Parameters
    ----------
    parent : QWidget
        The main window.
    session : Session
        On whose slide the place is.
    here_yx : tuple of float
        Where the view is now, level-0 px.
    go : callable
        Shows a place.
    """

    def __init__(self, parent: QWidget, session: Session, here_yx: YX, go: Callable[[YX], object]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Go to coordinates")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._go = session, go
        mpp = session.need_slide().mpp
        self.place = QLineEdit(words_of_place(here_yx))
        self.place.selectAll()
        self.place.setAccessibleName("place, x and y")
        self.place.setToolTip("x, y from the slide's upper left corner; px are those of its largest level.")
        self.unit = QComboBox()
        self.unit.addItems(["px", "µm"] if mpp else ["px"])
        self.unit.setAccessibleName("unit of the place")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accepts = buttons.addButton("Go", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._take)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow("x, y", self.place)
        form.addRow("without a unit, in", self.unit)
        form.addRow(self.words)
        form.addRow(buttons)
        self.place.setFocus()

    def _take(self) -> None:
        try:
            slide = self._session.need_slide()
            yx = place_of_words(self.place.text(), self.unit.currentText(), slide.mpp)
            if slide.size_hw is not None and not is_on_image(yx, slide.size_hw):
                height, width = slide.size_hw
                raise CytoError(f"{words_of_place(yx)} is beside the slide, which is {width:,} x {height:,} px.")
        except CytoError as error:
            self.words.setText(str(error))
            self.words.show()
            self.adjustSize()
            return
        self._go(yx)
        self.accept()
