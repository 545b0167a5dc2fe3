"""What describes a YOLO dataset: its classes, where it lies, and which images are on which side.

Source: https://docs.ultralytics.com/datasets/detect/; ``classes.txt`` as labelImg and Label Studio write it,
``obj.names`` as darknet and CVAT do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from napari_cyto.domain.image_names import name_parts
from napari_cyto.errors import FormatError
from napari_cyto.files.disk_files import files_below
from napari_cyto.formats.text import Fault, class_name, read_text, read_yaml, shown, whole_number

YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml")
NAME_LISTS = ("classes.txt", "obj.names", "predefined_classes.txt", "classes.names")
NO_LABELS = frozenset((*NAME_LISTS, "train.txt", "val.txt", "valid.txt", "test.txt", "trainval.txt"))
"""Names of text files that are no label files."""
SETS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}


@dataclass
class YoloSet:
    """What describes a dataset.

    Parameters
    ----------
    root : Path
        Where images and labels lie.
    names : dict
        Class by its number; empty where only numbers are known.
    pose_values : int
        How many numbers of key points a line has behind its box.
    listed : dict
        Side by the parts of an image's path below the root, as lists of images give it.
    in_two_sets : int
        How many images both the list of train and another one name; the later list counts.
    """

    root: Path
    names: dict[int, str]
    pose_values: int = 0
    listed: dict[tuple[str, ...], str] = field(default_factory=dict)
    in_two_sets: int = 0

    def side_of(self, image: Path) -> str:
        """Return the side that a list gives an image, by as much of its path as the list has; empty for none."""
        parts = name_parts(image.as_posix())
        for start in range(len(parts)):
            if parts[start:] in self.listed:
                return self.listed[parts[start:]]
        by_name = {side for listed, side in self.listed.items() if listed[-1] == parts[-1] and len(listed) > 1}
        return by_name.pop() if len(by_name) == 1 else ""

    def of_no_image(self, images: Iterable[Path]) -> list[str]:
        """Return the lines of lists that name none of these images."""
        left = dict.fromkeys(self.listed)
        unmatched: set[str] = set()
        for image in images:
            parts = name_parts(image.as_posix())
            exact = next((parts[start:] for start in range(len(parts)) if parts[start:] in self.listed), None)
            if exact is None:
                unmatched.add(parts[-1])
            else:
                left.pop(exact, None)
        return ["/".join(listed) for listed in left if len(listed) == 1 or listed[-1] not in unmatched]


def describe(source: Path) -> YoloSet:
    """Return what describes the dataset in a folder, or that of its ``data.yaml`` or list of classes.

    Raises
    ------
    FormatError
        When the classes are not named anywhere, or a file that describes it is wrong.
    """
    listing = source if not source.is_dir() else _listing_in(source)
    if listing.suffix.lower() not in (".yaml", ".yml"):
        root = listing.parent.parent if listing.parent.name == "labels" else listing.parent
        found = YoloSet(source if source.is_dir() else root, _names_in(listing))
        for name, side in SETS.items():
            if (found.root / f"{name}.txt").is_file():
                _take_list(found, found.root / f"{name}.txt", side)
        return found
    data, fault = read_yaml(listing), Fault(listing)
    if not isinstance(data, Mapping) or not ({"names", "nc"} & set(data)):
        raise fault(f"expected a mapping with names (a list or mapping of classes), got {shown(data)}.")
    root = _root(listing, data)
    found = YoloSet(root, _names(data, listing, root, fault), _pose_values(data.get("kpt_shape"), fault))
    for key, side in SETS.items():
        said = data.get(key)
        for place in said if isinstance(said, list) else [said]:
            if isinstance(place, str) and place.lower().endswith(".txt"):
                _take_list(found, root / place.replace("\\", "/"), side)
    return found


def _listing_in(folder: Path) -> Path:
    for name in (*YAML_NAMES, *NAME_LISTS):
        if (folder / name).is_file():
            return folder / name
    below = [path for path in files_below(folder) if path.name in NAME_LISTS]
    texts = {read_text(path) for path in below}
    if len(texts) > 1:
        raise FormatError(f"{len(below)} lists of classes ({below[0].name}) in this folder differ.", folder)
    if not below:
        sentence = (
            "expected a data.yaml (or classes.txt, obj.names) with the names of the classes in this folder, got none."
        )
        raise FormatError(sentence, folder)
    return below[0]


def _root(listing: Path, data: Mapping[str, Any]) -> Path:
    """Return where the dataset lies: ``path`` as written, seen from the file; the file's own folder without it."""
    said = data.get("path")
    if isinstance(said, str) and said.strip():
        place = listing.parent / said.strip().replace("\\", "/")
        if place.is_dir():
            return place.resolve()
    return listing.parent


def _names(data: Mapping[str, Any], listing: Path, root: Path, fault: Fault) -> dict[int, str]:
    said = data.get("names")
    if isinstance(said, str):
        return _names_in(listing.parent / said)
    if said is None:
        lists = [folder / name for folder in (listing.parent, root) for name in NAME_LISTS]
        there = next((path for path in lists if path.is_file()), None)
        return {} if there is None else _names_in(there)
    if not isinstance(said, (list, dict)):
        raise fault(f"expected a mapping with names (a list or mapping of classes), got {shown(said)}.")
    names: dict[int, str] = {}
    for key, value in said.items() if isinstance(said, dict) else enumerate(said):
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        names[whole_number(key, "the number of a class", fault)] = class_name(text, fault)
    return dict(sorted(names.items()))


def _names_in(path: Path) -> dict[int, str]:
    lines = read_text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if any(_is_label(line) for line in lines):
        raise FormatError(
            "expected a list of classes, got labels; give the folder, with its data.yaml or classes.txt.", path
        )
    return {place: class_name(line, Fault(path, line=place + 1)) for place, line in enumerate(lines)}


def _is_label(line: str) -> bool:
    """Whether a line is a label (a class's number and at least four fractions) rather than the name of a class."""
    tokens = line.split()
    try:
        return len(tokens) > 4 and all(isfinite(float(token)) for token in tokens)
    except ValueError:
        return False


def _pose_values(shape: object, fault: Fault) -> int:
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2:
        raise fault(f"expected kpt_shape [number of points, values per point], got {shown(shape)}.")
    return whole_number(shape[0], "kpt_shape", fault, 1000) * whole_number(shape[1], "kpt_shape", fault, 3)


def _take_list(found: YoloSet, path: Path, side: str) -> None:
    if not path.is_file():
        raise FormatError("the data.yaml names this list of images, but it does not exist.", path)
    for line in read_text(path).splitlines():
        if line.strip():
            image = name_parts(line.strip())
            if found.listed.get(image, side) != side and "train" in (found.listed[image], side):
                found.in_two_sets += 1
            found.listed[image] = side
