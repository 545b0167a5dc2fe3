"""Which slide of a project a pixel file is: the one of its place, one that moved, one with the same pixels, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from scipy.spatial import cKDTree

from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import fuller, proves_same, same_fingerprint, sampled_part
from napari_cyto.domain.image_names import closest
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.slides import same_files, slide_bytes
from napari_cyto.store import Project

Comparing = Callable[[str], object]
"""Takes a sentence before each piece of a long comparison; what it raises ends the comparison."""

SAME_PLACE_PX = 5.0
"""Two cells whose centres are nearer than this are one place, level-0 px."""
NOTED_FROM_BYTES = 256 * 2**20
"""A comparison of files larger than this is told while it goes on."""


class How(StrEnum):
    """By what a file was recognised as a slide."""

    PLACE = "place"
    """It is the very file."""
    MOVED = "moved"
    """The slide's own file is not there any more, and this one has its fingerprint."""
    COPY = "copy"
    """Both files are there and are the same to the last byte."""


@dataclass(frozen=True, slots=True)
class KnownSlide:
    """A slide of the project, and by what a file was recognised as it."""

    slide: SlideRecord
    how: How


class KnownSlides:
    """The slides of a project, to recognise files as them.

    A fingerprint finds a slide whose file moved. While both files are there it is no proof: unless it is a hash of the
    whole file, the files are compared to the last byte, and two that differ are two slides.

    Parameters
    ----------
    slides : iterable of SlideRecord
        The project's slides.
    where : callable, optional
        Gives the place of a slide's file now, None when it is not there.
    comparing : callable, optional
        Told what is compared, before each piece of it.
    """

    def __init__(
        self,
        slides: Iterable[SlideRecord] = (),
        where: Callable[[SlideRecord], Path | None] = lambda slide: there(Path(slide.path)) if slide.path else None,
        comparing: Comparing = lambda _: None,
    ) -> None:
        self._where, self.comparing = where, comparing
        self.slides: list[SlideRecord] = []
        self._by_place: dict[Path, SlideRecord] = {}
        self._by_sample: dict[str, list[SlideRecord]] = {}
        for slide in slides:
            self.add(slide)

    def add(self, slide: SlideRecord) -> None:
        """Learn one more slide."""
        self.slides.append(slide)
        if slide.path:
            self._by_place.setdefault(Path(slide.path).resolve(), slide)
            now = self._where(slide)
            if now is not None:
                self._by_place.setdefault(now.resolve(), slide)
        if slide.fingerprint and not slide.stem:
            # Slices are not told apart by their pixels, since much of a smear is blank glass.
            self._by_sample.setdefault(sampled_part(slide.fingerprint), []).append(slide)

    def at(self, path: str) -> SlideRecord | None:
        """Return the slide whose file has a path."""
        return self._by_place.get(Path(path).resolve())

    def with_print(self, fingerprint: str) -> list[SlideRecord]:
        """Return the slides whose fingerprint agrees with one."""
        near = self._by_sample.get(sampled_part(fingerprint), ())
        return [slide for slide in near if same_fingerprint(slide.fingerprint, fingerprint)]

    def long_comparison(self, record: SlideRecord) -> str:
        """Return the sentence on the comparison of large files that `find` will need; empty where it needs none."""
        if self.at(record.path) is not None or record.stem:
            return ""
        for slide in self.with_print(record.fingerprint):
            now = self._where(slide)
            if now is not None and not proves_same(slide.fingerprint, record.fingerprint):
                return _comparison(now, Path(record.path))
        return ""

    def lies(self, slide: SlideRecord) -> bool:
        """Whether the file of a slide is there."""
        return self._where(slide) is not None

    def find(self, record: SlideRecord) -> KnownSlide | None:
        """Return which slide the file of ``record`` is, or None when it is a new one.

        Parameters
        ----------
        record : SlideRecord
            What the file says; with path and fingerprint.

        Raises
        ------
        CytoError
            When several slides moved that cannot be told apart; the sentence names them.
        """
        here = self.at(record.path)
        if here is not None:
            return KnownSlide(here, How.PLACE)
        moved: list[SlideRecord] = []
        for slide in () if record.stem else self.with_print(record.fingerprint):
            now = self._where(slide)
            if now is None:
                moved += [slide] if slide.size_hw in (None, record.size_hw) else []
            elif same_pixels(slide.fingerprint, now, record.fingerprint, Path(record.path), self.comparing):
                return KnownSlide(slide, How.COPY)
        return _moved(record, moved)


def there(path: Path) -> Path | None:
    """Return a path where something is, else None."""
    try:
        return path if path.exists() else None
    except OSError:
        return None


def where_in(project: Project) -> Callable[[SlideRecord], Path | None]:
    """Return what gives the place of a slide's file now, as a project finds it; None when it is not there."""

    def where(slide: SlideRecord) -> Path | None:
        try:
            return project.slide_path(slide)
        except StoreError:
            return None

    return where


def same_pixels(
    one_print: str, one: Path, other_print: str, other: Path, comparing: Comparing = lambda _: None
) -> bool:
    """Whether two files that agree in their fingerprints are the same; compared in whole where these do not prove it.

    Raises
    ------
    SlideError
        When one of them cannot be read.
    """
    if proves_same(one_print, other_print):
        return True
    sentence = _comparison(one, other)
    return same_files(one, other, lambda: comparing(sentence))


def _comparison(one: Path, other: Path) -> str:
    size = slide_bytes(other)
    return f"Comparing {one.name} with {other.name} ({size / 1e9:.1f} GB)." if size > NOTED_FROM_BYTES else ""


def _moved(record: SlideRecord, moved: Sequence[SlideRecord]) -> KnownSlide | None:
    if len(moved) > 1:
        only = closest(record.name, ([slide.name] for slide in moved)).only
        moved = moved if only is None else [moved[only]]
    if len(moved) > 1:
        raise CytoError(
            f"{record.path} matches {len(moved)} slides whose files are missing and whose pixels agree "
            f"({', '.join(slide.name for slide in moved[:5])}); attach it to one of them with 'relink'."
        )
    return KnownSlide(moved[0], How.MOVED) if moved else None


def at_new_place(slide: SlideRecord, record: SlideRecord) -> SlideRecord:
    """Return a slide of the project with the file of ``record``; it keeps its name and what people said of it."""
    same = same_fingerprint(slide.fingerprint, record.fingerprint)
    return replace(
        slide,
        path=record.path,
        size_hw=record.size_hw,
        fingerprint=fuller(slide.fingerprint, record.fingerprint) if same else record.fingerprint,
        mpp=record.mpp if slide.mpp is None else slide.mpp,
        mpp_source=record.mpp_source if slide.mpp is None else slide.mpp_source,
    )


def slide_in(project: Project, record: SlideRecord, comparing: Comparing = lambda _: None) -> KnownSlide | None:
    """Return which slide of a project a file is, also one that was taken out of it, or None when it is a new one.

    Raises
    ------
    CytoError
        When several slides moved that cannot be told apart; the sentence names them.
    """
    slides, where = project.slides(), where_in(project)
    found = KnownSlides(slides, where, comparing).find(record)
    if found is not None:
        return found
    hidden = project.find_slide(fingerprint=record.fingerprint, path=record.path)
    if hidden is None or any(slide.id == hidden.id for slide in slides):
        return None
    return KnownSlides([hidden], where, comparing).find(record)


def contradictions(labels: LabelSet, twins: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each two slides of one image whose annotations of one place have different classes.

    Parameters
    ----------
    labels : LabelSet
        What was read; two cells are of one place when their centres lie within 5 px of each other, level 0.
    twins : iterable of (str, str)
        Ids of slides in ``labels`` that show the same image.
    """
    said = []
    names = {slide.id: slide.name for slide in labels.slides}
    for one, other in twins:
        cells = [[a for a in labels.of_slide(i) if a.class_id is not None] for i in (one, other)]
        if not all(cells):
            continue
        tree = cKDTree([a.geometry.centre_yx for a in cells[0]])
        pairs = tree.query_ball_point([a.geometry.centre_yx for a in cells[1]], SAME_PLACE_PX)
        differing = sum(
            any(cells[0][k].class_id != a.class_id for k in near) for a, near in zip(cells[1], pairs, strict=True)
        )
        if differing:
            said.append(
                f"{counted(differing, 'annotation has', 'annotations have')} different classes at the same place in "
                f"{names[one]!r} and {names[other]!r}, which show the same image."
            )
    return said
