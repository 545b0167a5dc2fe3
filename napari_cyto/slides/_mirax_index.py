"""Check what describes a MIRAX slide before the slide library reads it: it takes every count for granted."""

from __future__ import annotations

import configparser
from pathlib import Path

from napari_cyto.errors import SlideError

MOST_INDEX_BYTES = 2**20
"""The slide library reads no larger Slidedat.ini."""
MOST_DATA_FILES = 10_000
MOST_LAYERS = 1_000
MOST_IMAGES = 100_000_000

_BOUNDS = {
    ("GENERAL", "IMAGENUMBER_X"): (1, 1_000_000),
    ("GENERAL", "IMAGENUMBER_Y"): (1, 1_000_000),
    ("GENERAL", "CameraImageDivisionsPerSide"): (1, 1_000),
    ("HIERARCHICAL", "HIER_COUNT"): (1, MOST_LAYERS),
    ("HIERARCHICAL", "NONHIER_COUNT"): (0, MOST_LAYERS),
    ("DATAFILE", "FILE_COUNT"): (1, MOST_DATA_FILES),
}
"""Lowest and highest value of what the whole slide has one of."""
_LEVEL_BOUNDS = {
    "DIGITIZER_WIDTH": (1, 65_535),
    "DIGITIZER_HEIGHT": (1, 65_535),
    "IMAGE_CONCAT_FACTOR": (0, 31),
}
"""The same for each level."""


def check_mirax(path: Path) -> None:
    """Refuse a MIRAX slide whose folder lacks something, or whose index says what no scanner writes.

    Raises
    ------
    SlideError
        One sentence: what is missing or wrong, and where.
    """
    folder = path.with_suffix("")
    index = folder / "Slidedat.ini"
    if not folder.is_dir():
        raise SlideError(
            f"{path.name} is a MIRAX slide without its folder: {folder.name}/ with its .dat files must lie beside it."
        )
    if not index.is_file():
        raise SlideError(f"{path.name} is a MIRAX slide whose folder {folder.name}/ lacks Slidedat.ini.")
    parser = _parsed(path, index)
    missing = [name for name in _files(path, parser) if not _is_there(folder / name)]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        named = ", ".join(f"{name:.80}" for name in missing[:3])
        raise SlideError(
            f"{path.name} is a MIRAX slide whose folder {folder.name}/ lacks {named}{more}; "
            "copy the whole folder again."
        )
    _check_numbers(path, parser)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file of this system can have
        return False


def _parsed(path: Path, index: Path) -> configparser.ConfigParser:
    size = index.stat().st_size
    if size > MOST_INDEX_BYTES:
        raise SlideError(
            f"{path.name} is a MIRAX slide whose Slidedat.ini is damaged: expected up to {MOST_INDEX_BYTES:,} bytes, "
            f"got {size:,}."
        )
    text = index.read_text(encoding="utf-8-sig", errors="replace")
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), empty_lines_in_values=False, comment_prefixes=("#",)
    )
    try:
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    except configparser.Error as error:
        raise SlideError(
            f"{path.name} is a MIRAX slide whose Slidedat.ini is damaged: {str(error).splitlines()[0][:120]}."
        ) from error
    return parser


def _files(path: Path, parser: configparser.ConfigParser) -> list[str]:
    """Return the names of the data files that the index lists."""
    names = [parser.get("HIERARCHICAL", "INDEXFILE", fallback="")]
    if parser.has_section("DATAFILE"):
        names += [value for key, value in parser.items("DATAFILE") if key.startswith("file_") and key != "file_count"]
    outside = next((name for name in names if "\x00" in name or ".." in Path(name.replace("\\", "/")).parts), None)
    if outside is not None:
        raise SlideError(f"{path.name} is a MIRAX slide that names a file outside its folder: {outside!r:.100}.")
    return [name for name in names if name]


def _check_numbers(path: Path, parser: configparser.ConfigParser) -> None:
    for (section, key), (low, high) in _BOUNDS.items():
        _check_number(path, parser, section, key, low, high)
    for key in ("HIER_COUNT", "NONHIER_COUNT"):
        for layer in range(int(parser.get("HIERARCHICAL", key, fallback="0"))):
            _check_number(path, parser, "HIERARCHICAL", f"{key.removesuffix('COUNT')}{layer}_COUNT", 0, MOST_LAYERS)
    across, down = (int(parser.get("GENERAL", f"IMAGENUMBER_{axis}", fallback="1")) for axis in "XY")
    if across * down > MOST_IMAGES:
        raise _said(path, f"it has {across:,} x {down:,} images, expected up to {MOST_IMAGES:,}")
    for section in parser.sections():
        if section.startswith("LAYER_"):
            for key, (low, high) in _LEVEL_BOUNDS.items():
                _check_number(path, parser, section, key, low, high)


def _check_number(path: Path, parser: configparser.ConfigParser, section: str, key: str, low: int, high: int) -> None:
    """Refuse a number out of bounds; what is not there is for the slide library to miss."""
    text = parser.get(section, key, fallback=None)
    if text is None:
        return
    try:
        value = int(text) if len(text) < 20 else None
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        raise _said(path, f"expected {low:,} to {high:,} for {key} in [{section}], got {text!r:.40}")


def _said(path: Path, what: str) -> SlideError:
    return SlideError(f"{path.name} is a MIRAX slide whose Slidedat.ini is damaged: {what}.")
