"""Dock Slide: where the view is on the slide on screen, and what its file says."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.slides import Slide, SlideInfo
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.controls import Check
from napari_cyto.widgets.docks.image_label import ImageView
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.slide._mpp_editor import MppEditor
from napari_cyto.widgets.docks.slide._unreadable_list import UnreadableList
from napari_cyto.widgets.overview import OverviewMap

VENDORS = {
    "aperio": "Aperio",
    "bmp": "BMP",
    "dicom": "DICOM",
    "generic-tiff": "TIFF",
    "hamamatsu": "Hamamatsu",
    "jpeg": "JPEG",
    "jpeg2000": "JPEG 2000",
    "leica": "Leica",
    "mirax": "3DHISTECH MIRAX",
    "philips": "Philips",
    "png": "PNG",
    "ppm": "PNM",
    "sakura": "Sakura",
    "tiff": "TIFF",
    "trestle": "Trestle",
    "ventana": "Ventana",
    "webp": "WebP",
    "zeiss": "Zeiss",
}
MPP_SOURCES = {"file": "the file says so", "user": "entered by you", "format": "the label file says so"}


class SlideDock(Dock):
    """The overview map, the facts, the question for µm per pixel, pictures and damaged places.

    ``icc_requested`` carries whether the colours shall be brought to sRGB by the slide's own profile.
    """

    title = "Slide"
    icc_requested = Signal(bool)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.none = parts.text("No slide open")
        self.overview = OverviewMap.of_session(session)
        self.mpp = MppEditor(session)
        self.correct_mpp = parts.button(
            "Correct the pixel size…",
            "Sets the pixel size. Who changed it, when and from what is saved with the project.",
            self._correct_mpp,
        )
        self.mpp_history = parts.text()
        self.unreadable = UnreadableList(session)
        self.icc = Check("True colours (sRGB)")
        self.icc.setToolTip("Converts the scanner's colours to sRGB with the colour profile in the file.")
        self.icc.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.icc.clicked.connect(self._toggle_icc)
        self._facts = QWidget()
        self._form = QFormLayout(self._facts)
        parts.tighten(self._form)
        self.facts = Section("About this slide", self._facts, tip="Information from the slide file", opened=True)
        self._images = parts.column()
        self.images = Section(
            "Label and overview images", self._images, tip="Images that the scanner stored with the slide"
        )
        for widget in (
            self.none,
            self.mpp,
            self.correct_mpp,
            self.mpp_history,
            self.unreadable,
            self.overview,
            self.icc,
            self.facts,
            self.images,
        ):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        self._shown: Slide | None = None
        self._new_file(None)
        self.listen(session.slide_changed, self._show)
        self.listen(session.unreadable, self.unreadable.add)
        self.listen(session.mpp_needed, self._ask_mpp)
        self._show()

    def fact(self, name: str) -> str:
        """Return what the dock says for the row ``name``; empty where there is no such row."""
        for index in range(self._form.rowCount()):
            label = self._form.itemAt(index, QFormLayout.ItemRole.LabelRole).widget()
            if label.text() == name:
                words: str = self._form.itemAt(index, QFormLayout.ItemRole.FieldRole).widget().text()
                return parts.unbroken(words)
        return ""

    def let_go(self) -> None:
        """Stop listening, the overview too."""
        super().let_go()
        self.mpp.let_go()
        self.overview.let_go()

    def _show(self) -> None:
        record, handle = self.session.slide, self.session.open_slide_handle
        self.none.setVisible(record is None)
        self.facts.setVisible(record is not None)
        self.overview.setVisible(handle is not None)
        self._show_mpp(record, handle)
        self._show_facts(record, handle)
        if handle is not self._shown:
            self._shown = handle
            self._new_file(handle)

    def _new_file(self, handle: Slide | None) -> None:
        self.unreadable.clear()
        for tile in handle.unreadable if handle is not None else ():
            self.unreadable.add(tile)
        has_icc = handle is not None and handle.info.icc is not None
        self.icc.setChecked(False)
        self.icc.setVisible(has_icc)
        self._show_images(handle)

    def _show_mpp(self, record: SlideRecord | None, handle: Slide | None) -> None:
        is_unknown = record is not None and record.mpp is None
        self.mpp.setVisible(is_unknown)
        self.correct_mpp.setVisible(record is not None and not is_unknown)
        history = self.session.facts.mpp_history() if record is not None else ()
        self.mpp_history.setText("\n".join(["Pixel size:", *(change.words for change in history)]))
        self.mpp_history.setVisible(bool(history))
        if is_unknown:
            info = handle.info if handle is not None else None
            self.mpp.show_slide(info.mpp_rejected if info else "", info.objective if info else None)

    def _ask_mpp(self) -> None:
        """Show the question; the keyboard stays where it is, or the next class key would be taken for a number."""
        place = self.parentWidget()
        if place is not None:
            place.show()
            place.raise_()
        self.ensure_seen(self.mpp)

    def _correct_mpp(self) -> None:
        record = self.session.slide
        if record is not None and record.mpp is not None:
            self.mpp.show_correction(record.mpp)
            self.mpp.show()
            self.ensure_seen(self.mpp)

    def _show_facts(self, record: SlideRecord | None, handle: Slide | None) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        if record is None:
            return
        for name, words in facts_of(record, handle.info if handle is not None else None):
            self._form.addRow(name, parts.text(parts.breakable(words) if name == "File" else words))

    def _show_images(self, handle: Slide | None) -> None:
        layout = self._images.layout()
        while layout.count():
            old = layout.takeAt(0).widget()
            parts.discard(old)
        found = 0
        if handle is None:
            self.images.hide()
            return
        for name in handle.info.associated:
            try:
                layout.addWidget(ImageView(name, handle.associated(name)))
                found += 1
            except CytoError as error:
                layout.addWidget(parts.text(str(error)))
        self.images.setVisible(found > 0)

    def _toggle_icc(self, is_requested: bool) -> None:
        self.icc_requested.emit(is_requested)
        parts.focus_canvas(self)


def facts_of(record: SlideRecord, info: SlideInfo | None) -> list[tuple[str, str]]:
    """Return what is known of a slide as rows of name and words."""
    rows = [("File", record.name)]
    if info is not None:
        rows.append(("Format", VENDORS.get(info.vendor, info.vendor)))
    if record.size_hw is not None:
        height, width = record.size_hw
        size = f"{parts.number(width)} × {parts.number(height)} px"
        if record.mpp:
            size += f", {width * record.mpp / 1000:.2f} × {height * record.mpp / 1000:.2f} mm"
        rows.append(("Size", size))
    if record.mpp:
        source = MPP_SOURCES.get(record.mpp_source, record.mpp_source)
        rows.append(("Pixel", f"{record.mpp:.4g} µm" + (f" ({source})" if source else "")))
    else:
        rows.append(("Pixel", "size in µm unknown"))
    if info is not None:
        rows.append(("Objective", f"{info.objective:g}x" if info.objective else "not stated"))
        steps = ", ".join(f"{d:.6g}" for d in info.downsamples)
        rows.append(("Levels", f"{info.levels} ({steps} times smaller)" if info.levels > 1 else "1"))
        rows += [("Note", remark) for remark in info.remarks]
    for name, words in (("Smear", record.smear), ("Patient", record.patient), ("Set", record.side)):
        if words:
            rows.append((name, words))
    return rows
