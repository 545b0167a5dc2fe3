"""Size of an image from its header, for label files in fractions of it; no pixels are decoded."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image

from napari_cyto.domain.image_header import read_image_header
from napari_cyto.domain.image_names import Closeness, closest, lookup_keys, name_parts, reads_as_image
from napari_cyto.domain.tiff_layout import STARTS, first_size_hw
from napari_cyto.errors import FormatError
from napari_cyto.files.special_files import special_kind


def image_size_hw(path: Path) -> tuple[int, int]:
    """Return height and width, px, as the header of an image file has them.

    Raises
    ------
    FormatError
        When the file is not there or is no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if special := special_kind(path):
                raise ValueError(f"it is {special}")
            with path.open("rb") as stream:
                start = stream.read(4)
            return _tiff_size(path) if start in STARTS else _plain_size(path)
    except FileNotFoundError:
        raise FormatError("there is no such image.", path) from None
    except Exception as error:  # PIL raises anything on broken headers, TypeError among it
        raise FormatError(f"the size of the image cannot be read ({str(error)[:100]}).", path) from error


def image_of(folder: Path, name: str) -> Path | None:
    """Return the image called ``name`` in a folder, as an ``ImageFinder`` finds it, or None."""
    return ImageFinder().of(folder, name)


class ImageFinder:
    """Finds images by their names; each folder is listed once, so that ten thousand names cost no more than that."""

    def __init__(self) -> None:
        self._listings: dict[Path, dict[str, list[Path]]] = {}

    def of(self, folder: Path, name: str) -> Path | None:
        """Return the image called ``name`` in a folder, or None; never one outside it.

        ``name`` may lack the suffix and may name folders, which must be there then. A file of exactly this name wins,
        then one in other upper and lower case, then one that agrees but for a known suffix.

        Raises
        ------
        FormatError
            When several files agree equally well; the sentence names them.
        """
        *below, last = name_parts(name)
        if not last or ".." in (*below, last) or "\x00" in name:
            return None
        try:
            if len(name_parts(name)) == 1 and reads_as_image(name) and (folder / name).is_file():
                return folder / name
            found = self._agreeing(self._folders(folder, below), last)
        except (OSError, ValueError):  # a name that no file of this system can have, a folder that may not be read
            return None
        if len(found) > 1:
            some = ", ".join(path.name for path in found[:5])
            raise FormatError(
                f"{len(found)} images may be {name!r:.200} ({some}); give the full name, or rename one.",
                folder,
            )
        return found[0] if found else None

    def _agreeing(self, folders: list[Path], last: str) -> list[Path]:
        indexed = [self._listing(place) for place in folders]
        near = {path: None for index in indexed for key in lookup_keys(last) for path in index.get(key, ())}
        images = [path for path in near if _is_image(path)]
        return [images[place] for place in closest(last, ([path.name] for path in images)).places]

    def _folders(self, folder: Path, below: list[str]) -> list[Path]:
        """Return the folders that ``below`` names in ``folder``, however their case and accents are spelled."""
        places = [folder]
        for suffix in below:
            step = [place / suffix for place in places if (place / suffix).is_dir()]
            if not step:
                near = [p for place in places for p in self._listing(place).get(suffix.lower(), ()) if p.is_dir()]
                found = closest(suffix, ([p.name] for p in near))
                step = [near[k] for k in found.places if found.closeness >= Closeness.BUT_CASE]
            places = step
        return places

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        """Return what lies in a folder by the keys under which names are looked up."""
        if folder not in self._listings:
            index = self._listings[folder] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                for key in lookup_keys(path.name):
                    index.setdefault(key, []).append(path)
        return self._listings[folder]


def _is_image(path: Path) -> bool:
    """Whether a path is an image file, or the folder that is one DICOM slide."""
    if reads_as_image(path.name) and path.is_file():
        return True
    return path.is_dir() and next(path.glob("*.[dD][cC][mM]"), None) is not None


def _plain_size(path: Path) -> tuple[int, int]:
    header = read_image_header(path)
    if header is not None:
        return header.size_hw
    # Of other kinds, which are no slides here, Pillow knows the size; up to its own limit.
    with Image.open(path) as image:
        return (image.height, image.width)


def _tiff_size(path: Path) -> tuple[int, int]:
    with path.open("rb") as stream:
        return first_size_hw(stream)
