"""Open any slide or image; say in one sentence what is wrong with those that are none."""

from __future__ import annotations

import configparser
import os
from pathlib import Path
from typing import Literal, TypeAlias

from openslide import OpenSlide

from napari_cyto.errors import SlideError
from napari_cyto.slides.backend import Backend
from napari_cyto.slides.image_backend import ImageBackend
from napari_cyto.slides.openslide_backend import OpenSlideBackend
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.tiff_backend import TiffBackend

Kind: TypeAlias = Literal["openslide", "tiff", "image", "none"]

_TIFF_STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
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


def open_slide(path: str | os.PathLike[str]) -> Slide:
    """Open a whole-slide image, a plain TIFF, or a camera's flat image (PNG, JPEG, BMP, WebP, JPEG 2000, PNM).

    Parameters
    ----------
    path : path-like
        The file; for DICOM any file of the slide, or its folder.

    Raises
    ------
    SlideError
        One sentence that names the file and what is missing: it does not exist, is empty, may not be read,
        is no slide, or is a MIRAX slide without its folder or with a data file gone.
    """
    target = _the_file(Path(path))
    kind = _kind(target)
    backend: Backend
    match kind:
        case "openslide":
            backend = _vendor(target)
        case "tiff":
            backend = TiffBackend(target)
        case "image":
            backend = ImageBackend(target)
        case "none":
            raise SlideError(
                f"{target.name} is no slide or image that can be read: expected a slide of a known vendor, or a TIFF, "
                "PNG, JPEG, BMP, WebP, JPEG 2000 or PNM image, got bytes that are none of these; check that it was "
                "copied whole."
            )
    return Slide(backend)


def _vendor(path: Path) -> Backend:
    try:
        backend = OpenSlideBackend(path)
    except SlideError as first:
        # A TIFF whose compression OpenSlide lacks may still be one that our codecs know.
        if not _start(path).startswith(_TIFF_STARTS):
            raise
        try:
            return TiffBackend(path)
        except SlideError:
            raise first from None
    return _plain_instead(path, backend) if backend.info.vendor == "generic-tiff" else backend


def _plain_instead(path: Path, backend: OpenSlideBackend) -> Backend:
    """Prefer our own reader where OpenSlide misses levels (in SubIFDs), planes, depth, or the mpp (in OME-XML)."""
    try:
        plain = TiffBackend(path)
    except SlideError:
        return backend
    knows_more = plain.info.levels > backend.info.levels or (plain.info.mpp and not backend.info.mpp)
    if knows_more or ((plain.info.remarks or plain.joins_planes) and plain.info.levels == backend.info.levels):
        backend.close()
        return plain
    plain.close()
    return backend


def _kind(path: Path) -> Kind:
    if OpenSlide.detect_format(path) is not None:
        return "openslide"
    start = _start(path)
    if start.startswith(_TIFF_STARTS):
        return "tiff"
    return "image" if start.startswith(_IMAGE_STARTS) else "none"


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
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise SlideError(
            f"{path.name} may not be read: you have no permission for {error.filename or path}."
        ) from error
    except OSError as error:
        raise SlideError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    if path.suffix.lower() == ".mrxs":
        _check_mirax(path)
    elif path.stat().st_size == 0:
        raise SlideError(f"{path.name} is empty (0 bytes); copy it again from where it came.")
    return path


def _in_folder(folder: Path) -> Path:
    dicom = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".dcm")
    for candidate in dicom:
        if OpenSlide.detect_format(candidate) is not None:
            return candidate
    beside = folder.parent / f"{folder.name}.mrxs"
    hint = f"open {beside.name} beside it" if beside.exists() else "open the slide file in it"
    raise SlideError(f"{folder.name or folder} is a folder, but a slide file was expected; {hint}.")


def _check_mirax(path: Path) -> None:
    folder = path.with_suffix("")
    index = folder / "Slidedat.ini"
    if not folder.is_dir():
        raise SlideError(
            f"{path.name} is a MIRAX slide without its folder: {folder.name}/ with its .dat files must lie beside it."
        )
    if not index.is_file():
        raise SlideError(f"{path.name} is a MIRAX slide whose folder {folder.name}/ lacks Slidedat.ini.")
    missing = [name for name in _mirax_files(index) if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise SlideError(
            f"{path.name} is a MIRAX slide whose folder {folder.name}/ lacks {', '.join(missing[:3])}{more}; "
            "copy the whole folder again."
        )


def _mirax_files(index: Path) -> list[str]:
    """Return the names of the data files that a MIRAX index lists; none when it cannot be parsed."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(index.read_text(encoding="utf-8-sig", errors="replace"))
    except configparser.Error:
        return []
    names = [parser.get("HIERARCHICAL", "INDEXFILE", fallback="")]
    if parser.has_section("DATAFILE"):
        names += [value for key, value in parser.items("DATAFILE") if key.startswith("file_") and key != "file_count"]
    return [name for name in names if name]
