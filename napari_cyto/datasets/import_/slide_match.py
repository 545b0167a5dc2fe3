"""Which slide of the project each slide of a label file is, and what its pixel file says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_cyto.datasets._exchange_options import ImportOptions
from napari_cyto.datasets.import_.known_slides import How, KnownSlides, at_new_place, there
from napari_cyto.domain.counts import counted
from napari_cyto.domain.fingerprints import fuller, same_fingerprint
from napari_cyto.domain.image_names import (
    Closeness,
    closest,
    image_suffix,
    lookup_keys,
    name_parts,
    same_folders,
    same_text,
    without_common_folders,
)
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import HOW_TO_ESTIMATE, CytoError
from napari_cyto.formats.image_size import ImageFinder
from napari_cyto.slides import fingerprint, open_slide
from napari_cyto.slides.slide_info import MPP_MAX_UM, MPP_MIN_UM

_SHOWN = 5


class SlideMatcher:
    """Finds the project's slide for each slide of a source, by the rule of ``domain.image_names``.

    Slides of a source are never merged: what one of them has taken, another cannot take.

    Parameters
    ----------
    known : KnownSlides or iterable of SlideRecord
        The project's slides.
    options : ImportOptions
        Where images lie that the source does not find itself.
    source : Path, optional
        The label file or folder, beside which images are looked for too.

    Attributes
    ----------
    ids : dict
        Slide id in the source to slide id in the project.
    new : list of SlideRecord
        Slides that the project does not have yet.
    changed : list of SlideRecord
        Slides of the project of which the source knows more: the mpp, the smear, where the file lies.
    twins : list of (str, str)
        Slides of the source, by their ids there, whose files are the same to the last byte.
    """

    def __init__(
        self, known: KnownSlides | Iterable[SlideRecord], options: ImportOptions, source: Path | None = None
    ) -> None:
        self._options = options
        self._folders = _image_folders(options, source)
        self._known = known if isinstance(known, KnownSlides) else KnownSlides(known)
        self._finder = ImageFinder()
        self._taken: dict[str, str] = {}
        self._remarks: list[str] = []
        self._files_say: dict[str, list[str]] = {}
        self.ids: dict[str, str] = {}
        self.new: list[SlideRecord] = []
        self.changed: list[SlideRecord] = []
        self.twins: list[tuple[str, str]] = []
        self._absurd: list[float] = []
        self._by_name_alone: list[str] = []
        self._without_folders: list[str] = []

    def add(self, slides: Sequence[SlideRecord]) -> Iterator[str]:
        """Find the place of all slides of the source; yields the name of each, and what else takes its time.

        Raises
        ------
        CytoError
            When an image cannot be opened, is of another size than the labels were made for, or is that of two slides;
            when it is not clear which slide of the project is meant: the sentence names the candidates.
        """
        coming: list[_Coming] = []
        short = without_common_folders(slide.name for slide in slides)
        for slide in slides:
            coming.append(self._looked_at(self._believed(slide), short[slide.name]))
            yield slide.name
        coming = self._each_once(coming)
        self._by_place(coming)
        for each in coming:
            if each.record.path and each.known is None:
                yield self._known.long_comparison(each.record) or each.slide.name
                self._by_pixels(each)
        for step in (self._by_print, self._by_stem, self._by_name):
            step([each for each in coming if each.known is None])
        for each in coming:
            self._settle(each)
        self._find_twins([each for each in coming if each.known is None])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know, one sentence each."""
        said = list(self._remarks)
        if without := sum(not record.path for record in self.new):
            said.append(f"{counted(without, 'slide')} without an image: no file of that name beside the labels.")
        if self._absurd:
            said.append(
                f"Expected {MPP_MIN_UM:g} to {MPP_MAX_UM:g} µm per px, got {self._absurd[0]:g} "
                f"({counted(len(self._absurd), 'slide')} with such a value); it was ignored. {HOW_TO_ESTIMATE}."
            )
        if found := self._without_folders:
            said.append(
                f"{counted(len(found), 'image')} found by name, but not in the folders that the labels name "
                f"({', '.join(found[:_SHOWN])}{' ...' if len(found) > _SHOWN else ''}); check that they are the same."
            )
        if alone := self._by_name_alone:
            said.append(
                f"{counted(len(alone), 'slide')} matched with the project's by name alone, since there is no image "
                f"file to compare ({', '.join(alone[:_SHOWN])}{' ...' if len(alone) > _SHOWN else ''}); check that "
                "they are the same."
            )
        for remark, names in self._files_say.items():
            more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
            said.append(f"{', '.join(names[:3])}{more}: {remark}")
        return tuple(said)

    def _believed(self, slide: SlideRecord) -> SlideRecord:
        """Return a slide of the source without the µm per px that no microscope gives."""
        if slide.mpp is None or MPP_MIN_UM <= slide.mpp <= MPP_MAX_UM:
            return slide
        self._absurd.append(slide.mpp)
        return replace(slide, mpp=None, mpp_source="")

    def _looked_at(self, slide: SlideRecord, short: str) -> _Coming:
        """Return a slide of the source with what its pixel file says, where that is found."""
        chosen = self._options.slide
        place = chosen or self._beside(slide) or self._among_images(slide.name, short)
        if place is None:
            return _Coming(slide, replace(slide, path=""))
        record = with_file(slide, place, self._options.mpp, short, self._files_say)
        if chosen is None and not slide.stem and not same_folders(slide.name, str(place)):
            self._without_folders.append(slide.name)
        if not slide.fingerprint or slide.stem or same_fingerprint(slide.fingerprint, record.fingerprint):
            return _Coming(slide, record)
        if chosen is not None:
            self._remarks.append(
                f"The labels of {slide.name!r} were not made on {place.name} but on another file (the fingerprints "
                "differ); check that they belong together."
            )
            return _Coming(slide, record)
        self._remarks.append(
            f"{place} was not attached to {slide.name!r}: the labels were made on another file (the fingerprints "
            "differ). If it is the right image, attach it with 'relink'."
        )
        return _Coming(slide, replace(slide, path=""))

    def _beside(self, slide: SlideRecord) -> Path | None:
        return there(Path(slide.path)) if slide.path else None

    def _among_images(self, name: str, short: str) -> Path | None:
        tries = ((folder, each) for folder in self._folders for each in dict.fromkeys((name, short)))
        found = (self._finder.of(folder, each) for folder, each in tries)
        # Nobody said that the images are those beside the labels, so that there another suffix is another image.
        suffix = "" if self._options.images is not None else image_suffix(name).lower()
        return next((image for image in found if image is not None and image.name.lower().endswith(suffix)), None)

    def _each_once(self, coming: Sequence[_Coming]) -> list[_Coming]:
        """Return the slides of the source, one for two spellings of a name; refuse one file for two names."""
        kept: list[_Coming] = []
        by_file: dict[Path, _Coming] = {}
        by_text: dict[str, _Coming] = {}
        for each in coming:
            text = "/".join(name_parts(each.slide.name))
            same = by_text.get(text) if not each.record.path else by_file.get(Path(each.record.path).resolve())
            if same is None or not _one_name_of_two_spellings(each, same):
                by_text.setdefault(text, each)
                if each.record.path:
                    by_file[Path(each.record.path).resolve()] = each
                kept.append(each)
            else:
                same.others.append(each.slide.id)
        return kept

    def _take(self, each: _Coming, slide: SlideRecord) -> bool:
        """Give a slide of the project to one of the source, unless another has it."""
        if slide.id in self._taken:
            return False
        self._taken[slide.id] = each.slide.name
        each.known = slide
        return True

    def _by_place(self, coming: Sequence[_Coming]) -> None:
        for each in coming:
            if each.record.path and (slide := self._known.at(each.record.path)) is not None:
                self._take(each, slide)

    def _by_pixels(self, each: _Coming) -> None:
        found = self._known.find(each.record)
        if found is None or found.how is How.PLACE:
            return
        slide, taken = found.slide, self._take(each, found.slide)
        if found.how is How.MOVED and taken:
            self._remarks.append(f"The missing image of {slide.name} was found at {each.record.path}.")
        elif found.how is How.COPY:
            rest = f"its labels were added to {slide.name}" if taken else "it is kept as a separate slide"
            self._remarks.append(f"{each.record.name} shows the same image as {slide.name} ({slide.path}); {rest}.")

    def _by_print(self, coming: Sequence[_Coming]) -> None:
        """Match labels that carry the fingerprint of the file they were made on."""
        for each in coming:
            if each.record.path or not each.record.fingerprint or each.record.stem:
                continue
            slides = self._known.with_print(each.record.fingerprint)
            if len(slides) > 1:
                named = closest(each.slide.name, ([slide.name, slide.path] for slide in slides))
                slides = [slides[place] for place in named.places] or slides
                if len(slides) > 1:
                    raise _unclear(each.slide.name, slides)
            if slides and self._take(each, slides[0]) and not closest(each.slide.name, [_names(slides[0])]).places:
                self._remarks.append(
                    f"The labels of {each.slide.name!r} were added to {slides[0].name!r}, whose image has the same "
                    "fingerprint."
                )

    def _by_stem(self, coming: Sequence[_Coming]) -> None:
        slices = {(slide.stem, slide.side): slide for slide in self._known.slides if slide.stem}
        for each in coming:
            slide = slices.get((each.record.stem, each.record.side)) if each.record.stem else None
            if slide is not None and not (each.record.path and slide.path):
                self._take(each, slide)

    def _by_name(self, coming: Sequence[_Coming]) -> None:
        """Match by the full relative path or exact name; the closest agreement of all goes first."""
        index: dict[str, list[SlideRecord]] = {}
        for slide in self._known.slides:
            for key in {key for name in _names(slide) for key in lookup_keys(name)}:
                index.setdefault(key, []).append(slide)
        wishes: list[tuple[Closeness, _Coming, SlideRecord]] = []
        for each in coming:
            if each.record.stem:
                continue
            near = {s.id: s for key in lookup_keys(each.slide.name) for s in index.get(key, ())}
            slides = [slide for slide in near.values() if self._may_be(each.record, slide)]
            found = closest(each.slide.name, (_names(slide) for slide in slides))
            best = _of_its_size([slides[place] for place in found.places], each.record)
            if len(best) > 1:
                raise _unclear(each.slide.name, best)
            wishes += [(found.closeness, each, slide) for slide in best]
            if not best and slides:
                each.apart = slides[0]
        wished = Counter((close, slide.id) for close, _, slide in wishes)
        for close, each, slide in sorted(wishes, key=lambda wish: -wish[0]):
            if wished[close, slide.id] > 1 or not self._take(each, slide):
                each.apart = slide
            else:
                self._report_name(each, slide, close)

    def _report_name(self, each: _Coming, slide: SlideRecord, close: Closeness) -> None:
        """Note a match by name that a person should look at."""
        if not (each.record.path or slide.path or slide.fingerprint):
            self._by_name_alone.append(slide.name)
        elif close not in (Closeness.EXACT, Closeness.BARE) or _other_suffix(each.slide.name, slide):
            self._remarks.append(f"The labels of {each.slide.name!r} were added to {slide.name!r}.")

    def _may_be(self, record: SlideRecord, slide: SlideRecord) -> bool:
        """Whether nothing but the name speaks against two being one slide."""
        if record.fingerprint and slide.fingerprint:
            return same_fingerprint(record.fingerprint, slide.fingerprint) and not record.path
        return not (record.path and slide.path)

    def _settle(self, each: _Coming) -> None:
        slide, known = each.slide, each.known
        for source_id in (slide.id, *each.others):
            self.ids[source_id] = each.record.id if known is None else known.id
        if each.others:
            self._remarks.append(
                f"{slide.name!r} has {len(each.others) + 1} spellings in the labels; it was imported as one slide."
            )
        if known is None:
            self.new.append(each.record)
            self._known.add(each.record)
            if each.apart is not None:
                self._remarks.append(
                    f"{slide.name!r} was added as a new slide, since it is not certain that it is the project's "
                    f"{each.apart.name!r} (another folder, file or suffix); if it is, give --slide or --images."
                )
            return
        check_size(known.name, known.size_hw, each.record.size_hw)
        better = _better(known, each.record, moved=not self._known.lies(known))
        if better != known:
            self.changed.append(better)

    def _find_twins(self, coming: Sequence[_Coming]) -> None:
        """Look for the same image under two names of the source; both stay, and it is said."""
        seen = KnownSlides(comparing=self._known.comparing)
        names: dict[str, _Coming] = {}
        for each in coming:
            if not each.record.path or each.record.stem:
                continue
            twin = seen.find(each.record)
            if twin is not None and twin.how is How.COPY:
                self.twins.append((names[twin.slide.id].slide.id, each.slide.id))
                self._remarks.append(f"{twin.slide.name} and {each.record.name} show the same image.")
            seen.add(each.record)
            names[each.record.id] = each


@dataclass
class _Coming:
    """A slide of the source, what is known of it with its file, and the project's slide that it turns out to be."""

    slide: SlideRecord
    record: SlideRecord
    known: SlideRecord | None = None
    apart: SlideRecord | None = None
    others: list[str] = field(default_factory=list)


def _image_folders(options: ImportOptions, source: Path | None) -> tuple[Path, ...]:
    """Return where images are looked for that the source does not find itself: as given, else beside the labels."""
    if options.images is not None:
        return (options.images,)
    if source is None:
        return ()
    folder = source if source.is_dir() else source.parent
    return (folder, folder / "images")


def _names(slide: SlideRecord) -> list[str]:
    return [name for name in (slide.name, slide.path) if name]


def _other_suffix(name: str, slide: SlideRecord) -> bool:
    """Whether a name ends like an image, but like another than the slide's file does."""
    suffix = image_suffix(name).lower()
    return bool(suffix) and not any(each.lower().endswith(suffix) for each in _names(slide))


def _of_its_size(slides: list[SlideRecord], record: SlideRecord) -> list[SlideRecord]:
    if len(slides) < 2 or record.size_hw is None:
        return slides
    return [slide for slide in slides if slide.size_hw in (None, record.size_hw)] or slides


def _one_name_of_two_spellings(each: _Coming, same: _Coming) -> bool:
    """Whether two slides of a source are one whose name is spelled in two ways.

    Raises
    ------
    CytoError
        When they are not, but have one file.
    """
    same_name = same_text("/".join(name_parts(each.slide.name)), "/".join(name_parts(same.slide.name)))
    prints = each.slide.fingerprint, same.slide.fingerprint
    contradict = all(prints) and not same_fingerprint(*prints)
    if each.record.path:
        if same_name and each.slide.name != same.slide.name and not contradict:
            return True
        if each.slide.name == same.slide.name:
            raise CytoError(
                f"Expected each image once in the labels, got {each.slide.name!r} twice for {each.record.path}; add "
                "the folders to the names where two images have the same name, or import them one by one."
            )
        raise CytoError(
            f"Expected one image for each slide of the labels, got {each.record.path} for both {same.slide.name!r} and "
            f"{each.slide.name!r}; put each image where its name says, or import them one by one."
        )
    return same_name and each.slide.name != same.slide.name and not contradict


def _unclear(name: str, slides: Sequence[SlideRecord]) -> CytoError:
    some = ", ".join(slide.path or slide.name for slide in slides[:_SHOWN])
    more = f" and {len(slides) - _SHOWN} more" if len(slides) > _SHOWN else ""
    return CytoError(
        f"The labels of {name!r} match {len(slides)} slides of the project ({some}{more}); give the file of the right "
        "one with --slide, or add its folder to the name in the labels."
    )


def record_of_file(path: Path) -> SlideRecord:
    """Return what a project stores of a pixel file that nobody has told anything of.

    Raises
    ------
    SlideError
        When it cannot be opened.
    """
    return with_file(SlideRecord(name=path.name), path)


def with_file(
    slide: SlideRecord,
    path: Path,
    mpp_um: float | None = None,
    short: str = "",
    said: dict[str, list[str]] | None = None,
) -> SlideRecord:
    """Return ``slide`` with what its pixel file says: size, mpp (which goes before the label file's), fingerprint.

    Parameters
    ----------
    slide : SlideRecord
        As the label file has it.
    path : Path
        Its pixel file.
    mpp_um : float, optional
        µm per px where neither of the two says it.
    short : str
        What the label file calls the slide, without the folders that all of its slides share; of what is left the
        folders stay in the name, since they may be all that tells two patients apart.
    said : dict, optional
        Takes the names of files by what a person should know of them.

    Raises
    ------
    CytoError
        When the file cannot be opened, or is of another size than the labels were made for.
    """
    with open_slide(path) as opened:
        info = opened.info
    check_size(info.name, info.size_hw, slide.size_hw, info.remarks)
    if said is not None:
        for remark in info.remarks:
            said.setdefault(remark, []).append(info.name)
    mpp, source = slide.mpp, slide.mpp_source or ("format" if slide.mpp else "")
    if info.mpp is not None:
        mpp, source = info.mpp, info.mpp_source
    elif mpp is None and mpp_um is not None:
        mpp, source = mpp_um, "user"
    return replace(
        slide,
        name=slide.name if slide.stem else "/".join((*name_parts(short)[:-1], info.name)),
        path=str(Path(info.path).absolute()),
        size_hw=info.size_hw,
        mpp=mpp,
        mpp_source=source,
        fingerprint=fingerprint(path),
    )


def check_size(
    name: str, is_hw: tuple[int, int] | None, said_hw: tuple[int, int] | None, remarks: Sequence[str] = ()
) -> None:
    """Refuse an image of another size than its labels were made for, where both are known.

    Raises
    ------
    CytoError
        Saying both sizes, px.
    """
    if is_hw is not None and said_hw is not None and is_hw != said_hw:
        raise CytoError(
            f"Expected an image of {said_hw[1]} x {said_hw[0]} px, as the labels state, got {name} with "
            f"{is_hw[1]} x {is_hw[0]} px; the labels belong to another image or another resolution of it."
            # Sides exchanged: the labels may have been made on a photo that was shown turned.
            + (" " + " ".join(remarks) if remarks and is_hw == said_hw[::-1] else "")
        )


def _better(known: SlideRecord, record: SlideRecord, moved: bool) -> SlideRecord:
    filled = {
        name: getattr(record, name)
        for name in ("smear", "patient", "side")
        if getattr(record, name) and not getattr(known, name)
    }
    if known.mpp is None and record.mpp is not None:
        filled |= {"mpp": record.mpp, "mpp_source": record.mpp_source}
    better = replace(known, **filled) if filled else known
    if not record.path:
        return better
    if moved:
        return at_new_place(better, record)
    # What an older version stored of the pixels is brought up to date while the file is there.
    same = same_fingerprint(known.fingerprint, record.fingerprint)
    return replace(better, fingerprint=fuller(known.fingerprint, record.fingerprint)) if same else better
