"""Class folders: one folder a class, each picture in it one cell, as the Herlev and SIPaKMeD sets come."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from napari_cyto.domain.counts import counted
from napari_cyto.domain.image_names import READ_SUFFIXES
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError
from napari_cyto.files.disk_files import files_below, folder_files, subfolders
from napari_cyto.formats.image_size import image_size_hw

READABLE = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
SIDE_FOLDERS = {"train": "train", "training": "train", "val": "validation", "validation": "validation", "test": "test"}


_MASK = re.compile(r"[-_](d|mask|masks|seg|label|labels|gt)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KnownFolders:
    """What is known of a published set of class folders.

    Parameters
    ----------
    classes : frozenset of str
        Its folders; a source with all its folders among them is taken for this set.
    mpp : float
        µm per px.
    smear : str
        Regular expression on file names whose group names what was taken together.
    within_class : bool
        Whether that name counts within each class folder only.
    """

    classes: frozenset[str]
    mpp: float | None
    smear: str
    within_class: bool = False

    def holds(self, classes: set[str]) -> bool:
        """Whether class folders are those of this set, whose names are written in several ways."""
        return bool(classes) and {_plain(each) for each in classes} <= self.classes


HERLEV = KnownFolders(
    frozenset(
        {
            "normal_superficiel",
            "normal_intermediate",
            "normal_columnar",
            "light_dysplastic",
            "moderate_dysplastic",
            "severe_dysplastic",
            "carcinoma_in_situ",
        }
    ),
    0.201,
    r"(\d+)-\d+-\d+",
)
"""Source: µm per px from Coskun et al., section 2.1.1. No smear is stated; names that begin with one number are kept
together, which can only make a split stricter."""

SIPAKMED = KnownFolders(
    frozenset({"superficial_intermediate", "parabasal", "metaplastic", "koilocytotic", "dyskeratotic"}),
    None,
    r"^(\d+)_\d+",
    within_class=True,
)
"""Source: Plissiti et al. 2018, ICIP, whose files are named by the field, within its class, and the cell."""


@dataclass(frozen=True, slots=True)
class CellImageRecord:
    """A picture of one cell, the class folder it lies in."""

    record: SlideRecord
    class_id: str


def read_class_folders(root: Path, mpp: float | None, smear: str) -> tuple[list[CellImageRecord], list[str]]:
    """Return every picture below class folders, and remarks.

    Parameters
    ----------
    root : Path
        A folder of class folders, or one with ``train/`` and ``validation/`` (``val``, ``test``) that hold them.
    mpp : float or None
        µm per px of the pictures; of a published set that is recognised, its own when this is None.
    smear : str
        Regular expression on file names whose first group names the smear; empty: that of a recognised set, else none.

    Raises
    ------
    CytoError
        When no class folder holds a picture.
    """
    listed = list(_images(root))
    names = {path.parent / path.stem for _, _, path in listed}
    found = [item for item in listed if not _is_mask(item[2], names)]
    classes = {class_id for _, class_id, _ in found}
    known = next((each for each in (HERLEV, SIPAKMED) if each.holds(classes)), None)
    mpp = known.mpp if known and mpp is None else mpp
    within_class = bool(known and known.within_class and not smear)
    smear = smear or (known.smear if known else "")
    images, remarks = [], list[str]()
    is_cut = cache(_is_cut)
    if fields := sum(is_cut(path.parent) for path in files_below(root, READ_SUFFIXES)):
        shown = counted(fields, "image")
        remarks.append(f"{shown} beside a folder CROPPED left out: fields of view rather than single cells.")
    if masks := len(listed) - len(found):
        remarks.append(f"{counted(masks, 'mask')} in {root} (-d, _mask) left out: not images of cells.")
    unread: Counter[str] = Counter()
    for side, class_id, path in found:
        if path.suffix.lower() not in READABLE:
            unread[path.suffix.lower()] += 1
            continue
        try:
            images.append(CellImageRecord(_record(path, side, mpp, smear, class_id, within_class), class_id))
        except FormatError as error:
            remarks.append(f"{error} The image was left out.")
    remarks += [
        f"{counted(n, f'{s} image')} in {root} left out; convert to PNG or TIFF first." for s, n in unread.items()
    ]
    if not images:
        raise CytoError(
            f"Expected one folder per class with images of cells ({', '.join(READABLE)}), perhaps inside train and "
            f"validation, got none in {root}." + "".join(f" {r}" for r in remarks[:3])
        )
    return images, remarks


def _is_cut(folder: Path) -> bool:
    """Whether the pictures in a folder are whole fields, whose cells lie in a folder CROPPED beside them."""
    return any(below.name.upper() == "CROPPED" for below in subfolders(folder))


def _is_mask(path: Path, images: set[Path]) -> bool:
    """Whether a picture is the mask of another beside it, as Herlev's ``-d`` and what segmentation tools write."""
    plain = _MASK.sub("", path.stem)
    return plain != path.stem and path.parent / plain in images


def _plain(class_folder: str) -> str:
    return class_folder.lower().removeprefix("im_").replace("-", "_")


def _record(
    path: Path, side: str, mpp: float | None, smear: str, class_id: str, within_class: bool = False
) -> SlideRecord:
    match = re.search(smear, path.name) if smear else None
    taken_together = (match[1] or "") if match else ""
    return SlideRecord(
        name=f"{class_id}/{path.name}",
        path=str(path.absolute()),
        size_hw=image_size_hw(path),
        mpp=mpp,
        mpp_source="" if mpp is None else "user",
        smear=f"{class_id}/{taken_together}" if within_class and taken_together else taken_together,
        side=side,
    )


def _images(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield side, class and path of each picture, in the order of their names."""
    if not root.is_dir():
        raise CytoError(f"Expected a folder with one folder per class, got {root}.")
    folders = subfolders(root)
    splits = [folder for folder in folders if folder.name.lower() in SIDE_FOLDERS and subfolders(folder)]
    for folder in folders:
        inner = subfolders(folder) if folder in splits else [folder]
        side = SIDE_FOLDERS[folder.name.lower()] if folder in splits else ""
        for class_folder in inner:
            for path in _cells_in(class_folder):
                yield side, class_folder.name, path


def _cells_in(class_folder: Path) -> list[Path]:
    """Return the pictures of cells in a class folder; SIPaKMeD keeps them in ``CROPPED``, a folder further down."""
    inner = subfolders(class_folder)
    if [folder.name for folder in inner] == [class_folder.name]:
        inner = subfolders(class_folder := inner[0])
    cropped = next((folder for folder in inner if folder.name.upper() == "CROPPED"), None)
    return folder_files(class_folder if cropped is None else cropped, READ_SUFFIXES)
