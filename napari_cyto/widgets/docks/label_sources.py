"""Which label format a dropped file or folder most likely is; the import dialog shows it and a person decides."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.store import Project

_BY_SUFFIX = {".geojson": "geojson", ".xml": "asap", ".csv": "csv", ".json": "coco"}
_APACC_FOLDERS = ("slices", "train", "test")
_HEAD_BYTES = 4096
_LOOKED_AT = 200


def label_format_of(path: Path) -> str:
    """Return the name of the format of a label file or folder, or an empty text for what holds no labels."""
    if path.is_dir():
        return "" if Project.is_project(path) else _of_folder(path)
    guess = _BY_SUFFIX.get(path.suffix.lower(), "")
    if guess in ("csv", "coco"):
        head = _head(path)
        if guess == "csv" and "bethesda" in head:
            return "cric"
        if guess == "coco" and "featurecollection" in head:
            return "geojson"
    return guess


def _of_folder(folder: Path) -> str:
    if (folder / "data.yaml").is_file():
        return "yolo"
    if any(next((folder / name).glob("**/*.txt"), None) is not None for name in _APACC_FOLDERS):
        return "apacc"
    entries = (entry for _, entry in zip(range(_LOOKED_AT), folder.iterdir(), strict=False))
    return next((label_format_of(e) for e in entries if e.suffix.lower() in _BY_SUFFIX and e.is_file()), "")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).decode("utf-8", "replace").lower()
    except OSError:
        return ""
