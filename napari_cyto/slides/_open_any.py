"""Open any slide or image; say in one sentence what is wrong with those that are none."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from napari_cyto.domain.tiff_layout import STARTS
from napari_cyto.errors import SlideError
from napari_cyto.files.special_files import special_kind
from napari_cyto.slides._mirax_index import check_mirax
from napari_cyto.slides._native_check import look
from napari_cyto.slides._openslide_backend import OpenSlideBackend
from napari_cyto.slides._tiff_backend import TiffBackend
from napari_cyto.slides._tiff_check import DamagedTiffError, check_tiff
from napari_cyto.slides._tile_cache import TileCache
from napari_cyto.slides.backend import Backend
from napari_cyto.slides.image_backend import ImageBackend
from napari_cyto.slides.slide import Slide

Kind: TypeAlias = Literal["openslide", "tiff", "image", "none"]

# PNG, JPEG, BMP, WebP (RIFF), JPEG 2000 in its box and bare, PGM and PPM.
_IMAGE_STARTS = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"BM",
    b"RIFF",
    b"\x00\x00\x00\x0cjP",
    b"\xff\x4f\xff\x51",
    *(b"P%d" % n for n in range(1, 7)),
    b"GIF8",
)
_DATABASE_START = b"SQLite format 3\0"
_MOST_TRIED = 100
# Of these our own reader knows the tiles, and can say better what is wrong with them.
_READ_BY_US = ("generic-tiff", "aperio")


def open_slide(path: str | os.PathLike[str], cache: TileCache | None = None) -> Slide:
    """Open a whole-slide image, a plain TIFF, or a camera's flat image (PNG, JPEG, BMP, WebP, JPEG 2000, PNM).

    Parameters
    ----------
    path : path-like
        The file; for DICOM any file of the slide, or its folder.
    cache : TileCache, optional
        Keeps its tiles; the one that all slides share where it is not given.

    Raises
    ------
    SlideError
        One sentence that names the file and what is missing: it does not exist, is empty, may not be read,
        is no slide, or is a MIRAX slide without its folder or with a data file gone.
    """
    target = _the_file(Path(path))
    try:
        return Slide(_backend(target), cache)
    except SlideError:
        raise
    except Exception as error:
        # Whatever a stranger's file makes a parser raise: it is the file that cannot be read.
        raise SlideError(
            f"{target.name} is damaged, and cannot be read ({type(error).__name__}: {str(error)[:100]}); "
            "check that it was copied whole."
        ) from error


def _backend(target: Path) -> Backend:
    # What is wrong with a TIFF's header is told before the slide library sees it.
    _refuse_database(target)
    unfit = check_tiff(target) if _start(target).startswith(STARTS) else ""
    kind = _kind(target)
    if unfit and kind == "openslide":
        kind = _without_library(target, unfit)
    match kind:
        case "openslide":
            return _vendor(target)
        case "tiff":
            return TiffBackend(target)
        case "image":
            return ImageBackend(target)
        case "none":
            raise SlideError(
                f"{target.name} is not a slide or image that can be read: expected a slide of a known vendor, "
                "or a TIFF, PNG, JPEG, BMP, WebP, JPEG 2000 or PNM image, got bytes of none of these; check "
                "that it was copied completely."
            )


def _refuse_database(path: Path) -> None:
    """Refuse a database that SQLite, in the slide library, would write files beside, and whose views it would run.

    Source: SQLite, "Database File Format", section 1.3.3: 2 at bytes 18 and 19 means a write-ahead log.
    """
    with path.open("rb") as handle:
        head = handle.read(20)
    if head.startswith(_DATABASE_START) and head[18:20] != b"\x01\x01":
        raise SlideError(
            f"{path.name} is a database, not a slide; if it belongs to a project, open the project's folder."
        )


def _without_library(path: Path, unfit: str) -> Kind:
    """Return how a TIFF is read whose further pages the slide library is not to see; most vendors' need it."""
    vendor = look(path).vendor
    if vendor is None or vendor in _READ_BY_US:
        return "tiff"
    raise SlideError(f"{path.name} is a damaged {vendor} slide: {unfit.rstrip('.')}; check that it was copied whole.")


def _vendor(path: Path) -> Backend:
    try:
        backend = OpenSlideBackend(path)
    except SlideError as first:
        # A TIFF whose compression OpenSlide lacks may still be one that our codecs know.
        if not _start(path).startswith(STARTS):
            raise
        try:
            return TiffBackend(path)
        except SlideError as ours:
            raise (ours if look(path).vendor in (None, *_READ_BY_US) else first) from None
    return _plain_instead(path, backend) if backend.info.vendor == "generic-tiff" else backend


def _plain_instead(path: Path, backend: OpenSlideBackend) -> Backend:
    """Prefer our own reader where OpenSlide misses levels (in SubIFDs), planes, depth, or the mpp (in OME-XML).

    A plain TIFF that it finds damaged is refused: OpenSlide knows no more of it, and would hatch all of it.
    """
    try:
        plain = TiffBackend(path)
    except DamagedTiffError:
        backend.close()
        raise
    except SlideError:
        return backend
    knows_more = plain.info.levels > backend.info.levels or (plain.info.mpp and not backend.info.mpp)
    reads_better = not backend.decodes_itself and plain.info.levels == backend.info.levels
    if (
        knows_more
        or reads_better
        or plain.info.planes.several
        or ((plain.info.remarks or plain.joins_planes) and plain.info.levels == backend.info.levels)
    ):
        backend.close()
        return plain
    plain.close()
    return backend


def _kind(path: Path) -> Kind:
    start = _start(path)
    if start.startswith(_IMAGE_STARTS) and path.suffix.lower() != ".mrxs":
        return "image"
    looked = look(path)
    if looked.vendor is not None or looked.error:
        return "openslide"
    return "tiff" if start.startswith(STARTS) else "none"


def _start(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(6)


def _the_file(path: Path) -> Path:
    path = path.expanduser().absolute()
    try:
        if not path.exists():
            raise SlideError(f"{path.name} does not exist in {path.parent}; it may have been moved or renamed.")
        if path.is_dir():
            path = _in_folder(path)
        if special := special_kind(path):
            raise SlideError(f"{path.name} is {special}; a slide file was expected.")
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise SlideError(
            f"{path.name} may not be read: you have no permission for {error.filename or path}."
        ) from error
    except OSError as error:
        raise SlideError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    if path.suffix.lower() == ".mrxs":
        check_mirax(path)
    elif path.stat().st_size == 0:
        raise SlideError(f"{path.name} is empty (0 bytes); copy it again from its source.")
    return path


def _in_folder(folder: Path) -> Path:
    dicom = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".dcm")
    # A folder of another kind of pictures may hold thousands.
    for candidate in dicom[:_MOST_TRIED]:
        if not special_kind(candidate) and look(candidate).vendor is not None:
            return candidate
    beside = folder.parent / f"{folder.name}.mrxs"
    hint = f"open {beside.name} beside it" if beside.exists() else "open the slide file in it"
    raise SlideError(f"{folder.name or folder} is a folder, but a slide file was expected; {hint}.")


def _reopened(slide: Slide) -> tuple[Callable[[Path, int], Slide], tuple[Path, int]]:
    return (_open_plane, (slide.info.path, slide.info.planes.shown))


def _open_plane(path: Path, plane: int) -> Slide:
    return open_slide(path).at_plane(plane)


# A slide goes to another process as its path, and is opened there anew.
copyreg.pickle(Slide, _reopened)
