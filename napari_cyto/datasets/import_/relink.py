"""Images for slides that came with labels only, and for those whose files moved: each checked before it is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_cyto.datasets.import_.known_slides import at_new_place, where_in
from napari_cyto.datasets.import_.slide_match import check_size, record_of_file
from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import same_fingerprint
from napari_cyto.domain.image_names import READ_SUFFIXES, closest, without_common_folders
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats.image_size import ImageFinder
from napari_cyto.jobs.events import Advanced, Done, Event, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.slides import fingerprint
from napari_cyto.store import Project


def relinked(project: Project, slide: SlideRecord, path: Path) -> SlideRecord:
    """Give a slide of a project its image file, and return its record.

    Raises
    ------
    CytoError
        When the file is no slide, another one than was annotated (by size or fingerprint), or that of another slide of
        the project; or the project cannot be written.
    """
    record = record_of_file(path)
    check_size(path.name, record.size_hw, slide.size_hw)
    if slide.fingerprint and not same_fingerprint(slide.fingerprint, record.fingerprint):
        raise CytoError(
            f"{path.name} is not the image on which {slide.name} was annotated: its content differs; choose another "
            "file, or add this one as a new slide."
        )
    where = where_in(project)
    for other in project.slides():
        place = where(other) if other.id != slide.id else None
        if place is not None and place.resolve() == Path(record.path).resolve():
            raise CytoError(f"{path} is already the image of {other.name}; choose the one of {slide.name}.")
    moved = at_new_place(slide, record)
    project.update_slide(moved)
    return moved


@dataclass(frozen=True, slots=True)
class LinkedSlide(JsonFields):
    """A slide, by its name, that was given an image file."""

    slide: str
    path: str


@dataclass(frozen=True, slots=True)
class RelinkResult(JsonFields):
    """How many slides of a project were given image files, how many still have none, and which were given which."""

    project: str
    linked: int
    still_missing: int
    slides: tuple[LinkedSlide, ...]


def relink(
    project_folder: Path,
    images: Path | None = None,
    named: Mapping[str, Path] | None = None,
    token: Token | None = None,
) -> Iterator[Event]:
    """Find the images of slides that have none or whose files moved; a job.

    Parameters
    ----------
    project_folder : Path
        The project.
    images : Path, optional
        Where to look, by the names of the slides and, at any depth, by their fingerprints.
    named : mapping of str to Path, optional
        Slides by name, path or id, and the file of each.
    token : Token, optional
        Asks for a stop.

    Yields
    ------
    Event
        What was not taken as ``Noted``; ``Done.result`` is a `RelinkResult`.
    """
    return ending_once(_relink(Path(project_folder), images, named or {}, token))


def _relink(folder: Path, images: Path | None, named: Mapping[str, Path], token: Token | None) -> Steps:
    with Project.open(folder) as project:
        project.back_up_before("relink")
        linked: dict[str, str] = {}
        for name, path in named.items():
            slide = slide_named(project, name)
            linked[slide.id] = relinked(project, slide, path).path
        where = where_in(project)
        missing = [slide for slide in project.slides() if slide.id not in linked and where(slide) is None]
        if images is not None:
            search = _Search(images, missing)
            for done, slide in enumerate(missing, start=1):
                stop_if_cancelled(token, "Images found so far stay attached.")
                yield Advanced(done, len(missing), slide.name)
                try:
                    found_at = search.of(slide, token)
                    if found_at is not None:
                        linked[slide.id] = relinked(project, slide, found_at).path
                except CytoError as error:
                    yield Noted(str(error))
        names = {slide.id: slide.name for slide in project.slides()}
        left = [slide.name for slide in missing if slide.id not in linked]
        if left:
            some = ", ".join(left[:10]) + (" ..." if len(left) > 10 else "")
            yield Noted(f"{counted(len(left), 'slide')} still without an image file: {some}.")
        found = tuple(LinkedSlide(names[slide_id], path) for slide_id, path in linked.items())
        yield Done(RelinkResult(str(folder), len(linked), len(left), found))


def slide_named(project: Project, name: str) -> SlideRecord:
    """Return the slide of a project that a name, path or id means.

    Raises
    ------
    CytoError
        When it means none, or may mean several; the sentence names them.
    """
    slides = project.slides()
    by_id = [slide for slide in slides if slide.id == name]
    places = closest(name, ([slide.name, slide.path] for slide in slides)).places
    found = by_id or [slides[place] for place in places]
    if len(found) == 1:
        return found[0]
    if not found:
        some = ", ".join(slide.name for slide in slides[:20])
        raise CytoError(f"Expected a slide of the project ({some}), got {name!r}.")
    some = ", ".join(f"{slide.path or slide.name} (id {slide.id})" for slide in found[:5])
    raise CytoError(f"{name!r} matches {len(found)} slides: {some}; give its folder and name, or its id.")


@dataclass
class _Search:
    """Looks for images in a folder: by name at once, by fingerprint when some slide was not found by its name."""

    images: Path
    slides: list[SlideRecord]

    def __post_init__(self) -> None:
        if not self.images.is_dir():
            raise CytoError(f"Expected a folder of images, got {self.images}.")
        self._finder = ImageFinder()
        self._short = without_common_folders(slide.name for slide in self.slides)
        self._prints: dict[Path, str] | None = None

    def of(self, slide: SlideRecord, token: Token | None) -> Path | None:
        """Return the file of a slide, None where there is none.

        Raises
        ------
        CytoError
            When several files may be it, or one of them cannot be read.
        """
        by_name = self._finder.of(self.images, slide.name) or self._finder.of(self.images, self._short[slide.name])
        if by_name is not None and (not slide.fingerprint or same_fingerprint(slide.fingerprint, fingerprint(by_name))):
            return by_name
        if not slide.fingerprint:
            return None
        if self._prints is None:
            self._prints = {}
            for path in files_below(self.images, READ_SUFFIXES):
                stop_if_cancelled(token, "Images found so far stay attached.")
                self._prints[path] = fingerprint(path)
        same = [path for path, found in self._prints.items() if same_fingerprint(slide.fingerprint, found)]
        if len(same) > 1:
            some = ", ".join(str(path) for path in same[:5])
            raise CytoError(
                f"{len(same)} files match the image of {slide.name} ({some}); choose one: --slide {slide.name}=PATH."
            )
        if not same and by_name is not None:
            raise CytoError(
                f"{by_name} has the name of {slide.name}, but is not the image that was annotated: its content differs."
            )
        return same[0] if same else None
