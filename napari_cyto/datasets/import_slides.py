"""Which slide of the project each slide of a label file is, and what its pixel file says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from napari_cyto.datasets.options import ImportOptions
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.formats.image_headers import image_of
from napari_cyto.slides import fingerprint, open_slide
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM


class SlideMatcher:
    """Finds the project's slide for each slide of a source: by its file's place, its pixels, its name.

    Slices are not told apart by their pixels, since much of a smear is blank glass.

    Parameters
    ----------
    known : iterable of SlideRecord
        The project's slides.
    options : ImportOptions
        Where images lie that the source does not find itself.

    Attributes
    ----------
    ids : dict
        Slide id in the source to slide id in the project.
    new : list of SlideRecord
        Slides that the project does not have yet.
    changed : list of SlideRecord
        Slides of the project of which the source knows more: the mpp, the smear.
    """

    def __init__(self, known: Iterable[SlideRecord], options: ImportOptions) -> None:
        self._options = options
        self._known: list[SlideRecord] = []
        self._by_path: dict[str, SlideRecord] = {}
        self._by_pixels: dict[str, SlideRecord] = {}
        self._by_stem: dict[tuple[str, str], SlideRecord] = {}
        self.ids: dict[str, str] = {}
        self.new: list[SlideRecord] = []
        self.changed: list[SlideRecord] = []
        self._absurd: list[float] = []
        for slide in known:
            self._learn(slide)

    def add(self, slide: SlideRecord) -> None:
        """Find the place of one more slide of the source.

        Raises
        ------
        CytoError
            When an image cannot be opened, or is of another size than the labels were made for.
        """
        slide = self._believed(slide)
        found = self._place_of(slide)
        record = slide if found is None else with_file(slide, found, self._options.mpp)
        known = self._find(record)
        if known is None:
            self.new.append(record)
            self._learn(record)
            self.ids[slide.id] = record.id
            return
        check_size(known.name, known.size_hw, slide.size_hw)
        self.ids[slide.id] = known.id
        better = _better(known, record)
        if better != known and known not in self.new:
            self.changed.append(better)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know, one sentence each."""
        said = []
        if without := sum(not record.path for record in self.new):
            said.append(f"{without} slide(s) came with labels only; their image files were not found beside them.")
        if self._absurd:
            said.append(
                f"{len(self._absurd)} slide(s) are said to have {self._absurd[0]:g} µm per pixel or the like, which no "
                f"microscope gives (expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g}); it was not believed."
            )
        return tuple(said)

    def _believed(self, slide: SlideRecord) -> SlideRecord:
        """Return a slide of the source without the µm per px that no microscope gives."""
        if slide.mpp is None or MPP_MIN_UM <= slide.mpp <= MPP_MAX_UM:
            return slide
        self._absurd.append(slide.mpp)
        return replace(slide, mpp=None, mpp_source="")

    def _learn(self, slide: SlideRecord) -> None:
        self._known.append(slide)
        if slide.path:
            self._by_path[_place(slide.path)] = slide
        if slide.fingerprint and not slide.stem:
            self._by_pixels[slide.fingerprint] = slide
        if slide.stem:
            self._by_stem[slide.stem, slide.side] = slide

    def _place_of(self, slide: SlideRecord) -> Path | None:
        if self._options.slide is not None:
            return self._options.slide
        if slide.path and Path(slide.path).exists():
            return Path(slide.path)
        if self._options.images is not None:
            return image_of(self._options.images, slide.name)
        return None

    def _find(self, record: SlideRecord) -> SlideRecord | None:
        if record.path:
            by_file = self._by_path.get(_place(record.path))
            return by_file or (None if record.stem else self._by_pixels.get(record.fingerprint))
        if record.stem:
            return self._by_stem.get((record.stem, record.side))
        names = {record.name.casefold(), Path(record.name).stem.casefold()}
        same = [s for s in self._known if s.name.casefold() in names or Path(s.name).stem.casefold() in names]
        if len(same) > 1:
            raise CytoError(
                f"The labels are of {record.name!r}, and the project has {len(same)} slides of that name; "
                "say which with the slide's path."
            )
        return same[0] if same else None


def record_of_file(path: Path) -> SlideRecord:
    """Return what a project stores of a pixel file that nobody has told anything of.

    Raises
    ------
    SlideError
        When it cannot be opened.
    """
    return with_file(SlideRecord(name=path.name), path)


def with_file(slide: SlideRecord, path: Path, mpp_um: float | None = None) -> SlideRecord:
    """Return ``slide`` with what its pixel file says: size, mpp (which goes before the label file's), fingerprint.

    Parameters
    ----------
    slide : SlideRecord
        As the label file has it.
    path : Path
        Its pixel file.
    mpp_um : float, optional
        µm per px where neither of the two says it.

    Raises
    ------
    CytoError
        When the file cannot be opened, or is of another size than the labels were made for.
    """
    with open_slide(path) as opened:
        info = opened.info
    check_size(info.name, info.size_hw, slide.size_hw)
    mpp, source = slide.mpp, slide.mpp_source or ("format" if slide.mpp else "")
    if info.mpp is not None:
        mpp, source = info.mpp, info.mpp_source
    elif mpp is None and mpp_um is not None:
        mpp, source = mpp_um, "user"
    return replace(
        slide,
        name=slide.name if slide.stem else info.name,
        path=str(Path(info.path).absolute()),
        size_hw=info.size_hw,
        mpp=mpp,
        mpp_source=source,
        fingerprint=fingerprint(path),
    )


def check_size(name: str, is_hw: tuple[int, int] | None, said_hw: tuple[int, int] | None) -> None:
    """Refuse a picture of another size than its labels were made for, where both are known.

    Raises
    ------
    CytoError
        Saying both sizes, px.
    """
    if is_hw is not None and said_hw is not None and is_hw != said_hw:
        raise CytoError(
            f"The labels were made for an image of {said_hw[1]} x {said_hw[0]} px, but {name} has "
            f"{is_hw[1]} x {is_hw[0]}; they belong to another image or another resolution of it."
        )


def _better(known: SlideRecord, record: SlideRecord) -> SlideRecord:
    filled = {
        name: getattr(record, name)
        for name in ("smear", "patient", "side")
        if getattr(record, name) and not getattr(known, name)
    }
    if known.mpp is None and record.mpp is not None:
        filled |= {"mpp": record.mpp, "mpp_source": record.mpp_source}
    return replace(known, **filled) if filled else known


def _place(path: str) -> str:
    return str(Path(path).resolve())
