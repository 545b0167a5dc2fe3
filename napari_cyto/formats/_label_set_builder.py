"""What the readers of label files have in common: slides, cells, and the count of all that is not read as it stands."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from napari_cyto.domain.annotation import Annotation, Status, imported_from, new_id, now_utc
from napari_cyto.domain.geometry import YX, Box, Geometry
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._non_cell_classes import only_cells
from napari_cyto.formats._shapes import turned_box
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.image_size import ImageFinder, image_size_hw
from napari_cyto.formats.labels_outside import check_inside
from napari_cyto.formats.text import Fault, free_text

_IMAGE_FOLDERS = ("", "images", "JPEGImages")


class LabelSetBuilder:
    """Collects slides and cells from one label source, and counts what is left out or read otherwise.

    Parameters
    ----------
    source : Path
        The file or folder that is read.
    skip_bad : bool
        Whether rows that cannot be read are left out with a remark; else the source is refused.

    Attributes
    ----------
    bad : BadRows
        Rows that cannot be read; each is handled inside ``with builder.bad:``.
    left_out : LeftOut
        What is passed over, and what becomes something else.
    classes : dict
        ``#rrggbb`` or None by class, in the order of the source.
    """

    def __init__(self, source: Path, skip_bad: bool = False) -> None:
        self.source = source
        self.bad = BadRows(source, skip_bad)
        self.left_out = LeftOut()
        self.classes: dict[str, str | None] = {}
        self._slides: dict[str, SlideRecord] = {}
        self._cells = AnnotationSpool()
        self._ids: set[str] = set()
        self._images = ImageFinder()
        self._now = now_utc()

    @property
    def slides(self) -> tuple[SlideRecord, ...]:
        """The slides so far, in their order."""
        return tuple(self._slides.values())

    def one_of_many(self) -> AbstractContextManager[None]:
        """Return the context to read a file in: what cannot be read is a bad row of a folder, and all of a file."""
        return self.bad if self.source.is_dir() else nullcontext()

    def slide(self, record: SlideRecord, folders: Sequence[Path] = ()) -> SlideRecord:
        """Return the slide of the record's name: an earlier one, or this one with its image where that is found.

        Parameters
        ----------
        record : SlideRecord
            What the source says of it; its size is that of the image found, where the source has none.
        folders : sequence of Path
            Where its image may lie, each itself or in ``images`` or ``JPEGImages``.
        """
        known = self._slides.get(record.name)
        if known is None:
            known = self._slides[record.name] = self._with_image(record, folders)
        return known

    def new_slide(self, record: SlideRecord, folders: Sequence[Path], fault: Fault) -> SlideRecord:
        """Return the slide of the record's name, which must be the first of that name.

        Raises
        ------
        FormatError
            When the source has spoken of it before: two images of one name are never merged.
        """
        if record.name in self._slides:
            raise fault(
                f"the image {record.name!r:.200} occurs twice in this source; two images with the same name cannot "
                "be distinguished, so rename one or import them one at a time."
            )
        return self.slide(record, folders)

    def turned(self, box: Box, degrees: float, pivot_yx: YX | None = None) -> Geometry:
        """Return a box turned clockwise, and count it where that makes it an outline; see ``turned_box``."""
        shape = turned_box(box, degrees, pivot_yx)
        self.left_out.add("turned box", "read as an outline of four corners.", int(not isinstance(shape, Box)))
        return shape

    def cell(
        self,
        slide: SlideRecord,
        geometry: Geometry,
        class_id: str | None,
        fault: Fault,
        *,
        file_name: str = "",
        status: Status = Status.ACCEPTED,
        author: str = "",
        score: float | None = None,
        note: str = "",
        identity: str = "",
    ) -> None:
        """Add one cell (or, without a class, a region) to ``slide``.

        Raises
        ------
        FormatError
            When it lies wholly outside its image; made by ``fault``.
        """
        if slide.size_hw is not None:
            check_inside(geometry, slide.size_hw, f"{slide.name!r:.80}", fault)
        if class_id is not None:
            self.classes.setdefault(class_id, None)
        self._cells.append(
            Annotation(
                slide_id=slide.id,
                geometry=geometry,
                class_id=class_id,
                status=status,
                author=free_text(author, 500),
                origin=imported_from(file_name or self.source.name),
                scores=() if score is None or class_id is None else ((class_id, score),),
                created_utc=self._now,
                note=free_text(note),
                id=self._identity(identity),
            )
        )

    def labels(self, remarks: Sequence[str] = ()) -> LabelSet:
        """Return all of it as a label set.

        Raises
        ------
        FormatError
            Listing the bad rows, where they are not to be skipped.
        """
        said = (*remarks, *self.left_out.remarks(self.source.name), *self.bad.remarks(len(self._cells)))
        colours = tuple((name, colour) for name, colour in self.classes.items() if colour)
        read = LabelSet(self.slides, self._cells.settled(), tuple(self.classes), colours, said)
        return only_cells(read, self.source.name)

    def _with_image(self, record: SlideRecord, folders: Sequence[Path]) -> SlideRecord:
        for folder in folders:
            for below in _IMAGE_FOLDERS:
                image = self._images.of(folder / below, record.name)
                if image is not None:
                    size = record.size_hw if record.size_hw is not None else _measured(image)
                    return replace(record, path=str(image.absolute()), size_hw=size)
        return record

    def _identity(self, value: str) -> str:
        if len(value) != 32 or not set(value) <= set("0123456789abcdef") or value in self._ids:
            return new_id()
        self._ids.add(value)
        return value


def image_name(text: object, fault: Fault) -> str:
    """Return an image's name or relative path as a label file has it, with ``/`` between folders.

    Drives, leading ``/`` and ``..`` are dropped, so that it stays within the folder it is looked for in.

    Raises
    ------
    FormatError
        When there is none.
    """
    name = free_text(text, 1000).strip().replace("\\", "/")
    if len(name) > 1 and name[1] == ":":
        name = name[2:]
    parts = [part for part in posixpath.normpath(name).split("/") if part not in ("", ".", "..")] if name else []
    if not parts or not "".join(parts).isprintable():
        raise fault(f"expected the name of an image, got {text!r:.80}.")
    return "/".join(parts)[:500]


def _measured(image: Path) -> tuple[int, int] | None:
    """Return the size of an image that has one in its header; a folder of DICOM files is opened later."""
    return image_size_hw(image) if image.is_file() else None
