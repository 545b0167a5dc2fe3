"""Reading Label Studio's tasks: whose annotations, of which image, and what of them are cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.geometry import Geometry, Point
from napari_cyto.domain.image_names import IMAGE_SUFFIXES
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._shapes import box_of_edges, ellipse, outline
from napari_cyto.formats._slide_json import KEY, slide_from_dict
from napari_cyto.formats.text import Fault, class_name, free_text, number, read_json, shown, whole_number

ALL = "all"
_SHAPES = ("rectangle", "ellipse", "polygon", "keypoint")
_PLACE = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points")
# What Label Studio puts before the name of a file that was uploaded through its page.
_UPLOADED = re.compile(r"(?:data/)?upload/\d+/(?P<stamped>[^/]+)$")
_STAMP = re.compile(r"^[0-9a-f]{8}-(?=.)")


class TaskReader:
    """Reads one export of Label Studio.

    Parameters
    ----------
    path : Path
        The JSON file.
    annotator : str
        Whose annotations are read where a task has those of several; ``all``, or empty to refuse then.
    predictions : bool
        Whether predictions are read on tasks without annotations.
    unclassified : str
        The class of shapes without a label.
    skip_bad : bool
        Whether results that cannot be read are left out.
    """

    def __init__(self, path: Path, *, annotator: str, predictions: bool, unclassified: str, skip_bad: bool) -> None:
        self._path = path
        self._annotator, self._predictions, self._unclassified = annotator, predictions, unclassified
        self._builder = LabelSetBuilder(path, skip_bad)
        self._crowded: Counter[str] = Counter()
        self._met: set[str] = set()

    def read(self) -> LabelSet:
        """Return the tasks as slides with cells.

        Raises
        ------
        FormatError
            Naming task and reason.
        """
        data, fault = read_json(self._path), Fault(self._path)
        tasks = [data] if isinstance(data, Mapping) and "data" in data else data
        if not isinstance(tasks, list) or (tasks and not any(map(_is_task, tasks))):
            raise fault(
                f"expected a list of Label Studio tasks (each with data and annotations), got {shown(data)}; "
                "export as JSON, not as JSON-MIN."
            )
        numbered = [(task, fault.at(f"task {_task_id(task, place)}")) for place, task in enumerate(tasks, start=1)]
        named = dict(self._named(numbered))
        for place, (task, here) in enumerate(numbered):
            if place in named:
                with self._builder.bad:
                    self._task(task, named[place], here)
        self._check_annotators(fault)
        return self._builder.labels()

    def _named(self, tasks: list[tuple[Any, Fault]]) -> Iterator[tuple[int, str]]:
        """Yield the image name of each task that has one; names of uploads lose their stamp where they stay apart."""
        names: dict[int, str] = {}
        for place, (task, here) in enumerate(tasks):
            with self._builder.bad:
                if not _is_task(task):
                    raise here(f"expected a task with data, got {shown(task)}.")
                names[place] = _image_of_task(task, here)
        plain = {place: _without_stamp(name) for place, name in names.items()}
        times = Counter(plain.values())
        for place, name in names.items():
            short = plain[place]
            if times[short] > 1 and short != name:
                self._builder.left_out.add(
                    "image", "keep the name that Label Studio gave them, since two names are the same."
                )
            yield place, _bare(name) if times[short] > 1 else short

    def _task(self, task: Mapping[str, Any], name: str, here: Fault) -> None:
        results, author, status, version = self._chosen(task, here)
        facts = task["data"].get(KEY)
        record = slide_from_dict({**(facts if isinstance(facts, Mapping) else {}), "name": name}, name, here)
        size = _stated_size(results, task["data"], here) or record.size_hw
        record = replace(record, size_hw=size)
        slide = self._builder.new_slide(record, (self._path.parent,), here)
        for rows in _by_region(results):
            with self._builder.bad:
                self._region(rows, slide, author, status, version, here)

    def _chosen(self, task: Mapping[str, Any], here: Fault) -> tuple[list[Mapping[str, Any]], str, Status, Any]:
        """Return the results that are read, who made them, and what they are."""
        left_out = self._builder.left_out
        left_out.add("draft", "left out, since drafts are not finished.", len(_mappings(task.get("drafts"))))
        finished = []
        for entry in _mappings(task.get("annotations", task.get("completions"))):
            if entry.get("was_cancelled") or entry.get("skipped"):
                left_out.add("annotation", "of skipped tasks left out.")
            else:
                finished.append(entry)
        predictions = _mappings(task.get("predictions"))
        number_of = sum(len(_mappings(p.get("result"))) for p in predictions)
        if finished:
            left_out.add("prediction", "left out, since their tasks are annotated.", number_of)
            return self._of_annotators(finished)
        if not self._predictions:
            left_out.add("prediction", "left out, as requested.", number_of)
            return [], "", Status.ACCEPTED, None
        if len(predictions) > 1:
            versions = ", ".join(sorted({free_text(p.get("model_version"), 60) or "unnamed" for p in predictions}))
            raise here(
                f"{len(predictions)} models or model versions predicted this task ({versions:.200}), and nobody "
                "annotated it; export only one of them, or import without predictions."
            )
        chosen = predictions[0] if predictions else {}
        version = free_text(chosen.get("model_version"), 200)
        return _mappings(chosen.get("result")), version, Status.UNREVIEWED, chosen.get("score")

    def _of_annotators(self, finished: list[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], str, Status, Any]:
        starred = [entry for entry in finished if entry.get("ground_truth") is True]
        if len(finished) > 1 and len(starred) == 1 and not self._annotator:
            words = "left out, since another of the same task is starred as ground truth."
            self._builder.left_out.add("annotation", words, len(finished) - 1)
            finished = starred
        names = [_annotator(entry) for entry in finished]
        self._met.update(names)
        if len(finished) > 1 and not self._annotator:
            self._crowded.update(names)
        if self._annotator and self._annotator != ALL and len(finished) >= 1:
            kept = [e for e, name in zip(finished, names, strict=True) if name == self._annotator]
            words = f"of others than {self._annotator:.60} left out."
            self._builder.left_out.add("annotation", words, len(finished) - len(kept))
            finished = kept
        rows: list[Mapping[str, Any]] = []
        for place, entry in enumerate(finished):
            # A region's id is its own within one annotation only.
            who = _annotator(entry)
            rows += [{**row, "id": (place, row.get("id")), "by": who} for row in _mappings(entry.get("result"))]
        return rows, "", Status.ACCEPTED, None

    def _check_annotators(self, fault: Fault) -> None:
        if self._crowded:
            who = ", ".join(f"{name or 'unnamed'} ({n})" for name, n in self._crowded.most_common(20))
            raise fault(
                f"some tasks have more than one annotation: {who:.400}; choose whose to import with --annotator, or "
                f"'{ALL}' for everybody's."
            )
        if self._annotator and self._annotator != ALL and self._annotator not in self._met:
            met = ", ".join(sorted(self._met)[:20]) or "nobody"
            raise fault(f"there are no annotations of {self._annotator!r:.80}; there are those of {met:.400}.")

    def _region(
        self, rows: list[Mapping[str, Any]], slide: SlideRecord, author: str, status: Status, score: Any, here: Fault
    ) -> None:
        """Read what has one id: a shape, and the labels or choices that were given to it."""
        shape = next((row for row in rows if _shape_of(row) in _SHAPES), None)
        if shape is None:
            for row in rows:
                kind = _plain(row.get("type"))
                self._builder.left_out.add("result", f"of type {kind} left out, since it is not a cell.")
            return
        geometry = self._geometry(shape, slide, here)
        if geometry is None:
            return
        class_id = self._class(rows, here)
        own = shape.get("score") if shape.get("score") is not None else score
        self._builder.cell(
            slide,
            geometry,
            class_id,
            here,
            status=status,
            author=free_text(shape.get("by"), 500) or author,
            score=_score(own, here) if status is Status.UNREVIEWED else None,
            note=_note(rows),
            identity=str(_own_id(shape)),
        )

    def _class(self, rows: list[Mapping[str, Any]], here: Fault) -> str:
        labels = list(dict.fromkeys(label for row in rows for label in _labels(row)))
        if not labels:
            # Where shapes are drawn without labels, a choice is asked for each of them.
            labels = list(dict.fromkeys(c for row in rows for c in _listed(_value(row).get("choices"))))
        if not labels:
            self._builder.left_out.add("shape", f"without a label read as {self._unclassified}.")
            return self._unclassified
        if len(labels) > 1:
            names = ", ".join(map(shown, labels[:5]))
            raise here(f"a shape has several labels ({names}), and a cell has one class; correct it in Label Studio.")
        return class_name(labels[0], here)

    def _geometry(self, row: Mapping[str, Any], slide: SlideRecord, here: Fault) -> Geometry | None:
        value, kind = _value(row), _shape_of(row)
        if number(row.get("image_rotation") or 0, "image_rotation", here) % 360:
            raise here(
                "the image was rotated in Label Studio, so its labels do not fit the image file; rotate it back "
                "there and export again."
            )
        if slide.size_hw is None:
            raise here("original_width and original_height are missing, and there is no image file to measure.")
        height, width = slide.size_hw
        if kind == "polygon" and value.get("closed") is False:
            self._builder.left_out.add("outline", "that was left open left out, since it encloses no cell.")
            return None
        if kind == "polygon":
            return outline([_percent_pair(pair, height, width, here) for pair in _listed(value.get("points"))], here)
        y, x = (number(value.get(name), name, here, 1e6) for name in ("y", "x"))
        y, x = round(y * height / 100, 6), round(x * width / 100, 6)
        degrees = number(value.get("rotation", row.get("rotation")) or 0, "rotation", here)
        if kind == "keypoint":
            return Point(round(y, 4), round(x, 4))
        if kind == "ellipse":
            ry, rx = (number(value.get(name), name, here, 1e6) for name in ("radiusY", "radiusX"))
            self._builder.left_out.add("ellipse", "read as an outline.")
            return ellipse((y, x), (ry * height / 100, rx * width / 100), degrees, here)
        h, w = (number(value.get(name), name, here, 1e6) for name in ("height", "width"))
        box = box_of_edges(y, x, y + h * height / 100, x + w * width / 100, here)
        return self._builder.turned(box, degrees, (y, x))


def _is_task(task: object) -> bool:
    return isinstance(task, Mapping) and isinstance(task.get("data"), Mapping)


def _task_id(task: object, place: int) -> str:
    identity = task.get("id") if isinstance(task, Mapping) else None
    return str(identity) if isinstance(identity, int) and abs(identity) < 10**15 else str(place)


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _value(row: Mapping[str, Any]) -> Mapping[str, Any]:
    value = row.get("value")
    return value if isinstance(value, Mapping) else {}


def _plain(kind: object) -> str:
    return kind if isinstance(kind, str) and kind.isidentifier() and len(kind) <= 40 else "unknown"


def _shape_of(row: Mapping[str, Any]) -> str:
    kind = row.get("type")
    if kind == "labels":  # with <Labels>, the labels come as a copy of the shape
        value = _value(row)
        shape_keys = (("radiusX", "ellipse"), ("points", "polygon"), ("height", "rectangle"), ("x", "keypoint"))
        return next((shape for name, shape in shape_keys if name in value), "")
    return kind.removesuffix("labels") if isinstance(kind, str) else ""


def _labels(row: Mapping[str, Any]) -> list[Any]:
    value = _value(row)
    names = ("labels", *(f"{shape}labels" for shape in _SHAPES))
    return [label for name in names for label in _listed(value.get(name)) if isinstance(label, str)]


def _by_region(results: list[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the results of each region: those of one id, where their shapes, if several, are one and the same."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for place, row in enumerate(results):
        key = row.get("id")
        named = isinstance(key, str) or (isinstance(key, tuple) and isinstance(key[1], str))
        groups.setdefault(key if named else place, []).append(row)
    return [rows for group in groups.values() for rows in _by_shape(group)]


def _by_shape(rows: list[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    shapes: dict[str, list[Mapping[str, Any]]] = {}
    others = []
    for row in rows:
        if _shape_of(row) in _SHAPES:
            place = {name: value for name, value in _value(row).items() if name in _PLACE}
            shapes.setdefault(f"{_shape_of(row)} {sorted(place.items(), key=str)!r}", []).append(row)
        else:
            others.append(row)
    return [[*group, *others] for group in shapes.values()] or [others]


def _own_id(row: Mapping[str, Any]) -> object:
    key = row.get("id")
    return key[1] if isinstance(key, tuple) else key


def _note(rows: list[Mapping[str, Any]]) -> str:
    texts = []
    for row in rows:
        meta = row.get("meta")
        texts += _listed(meta.get("text")) if isinstance(meta, Mapping) else []
        texts += _listed(_value(row).get("text")) if row.get("type") == "textarea" else []
    return "\n".join(dict.fromkeys(free_text(text) for text in texts if isinstance(text, str) and text))


def _score(value: object, here: Fault) -> float | None:
    if value is None:
        return None
    score = number(value, "the score", here, 1.0)
    if score < 0:
        raise here(f"expected a score from 0 to 1, got {score:g}.")
    return score


def _annotator(entry: Mapping[str, Any]) -> str:
    who = entry.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("username") or who.get("id")
    if isinstance(who, (int, str)) and not isinstance(who, bool) and str(who)[:200].strip():
        return free_text(str(who)[:200]).strip()
    return ""


def _percent_pair(pair: object, height: int, width: int, here: Fault) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise here(f"expected a corner [x, y], got {shown(pair)}.")
    return number(pair[1], "y", here, 1e6) * height / 100, number(pair[0], "x", here, 1e6) * width / 100


def _stated_size(results: list[Mapping[str, Any]], data: Mapping[str, Any], here: Fault) -> tuple[int, int] | None:
    sizes = set()
    for row in results:
        if row.get("original_height") is not None and row.get("original_width") is not None:
            sizes.add(_size(row["original_height"], row["original_width"], here))
    if len(sizes) > 1:
        raise here("its results belong to images of different sizes, so they cannot all be of this image.")
    if not sizes and data.get("height") is not None and data.get("width") is not None:
        sizes.add(_size(data["height"], data["width"], here))
    return sizes.pop() if sizes else None


def _size(height: object, width: object, here: Fault) -> tuple[int, int]:
    size = (whole_number(height, "original_height", here, 10**7), whole_number(width, "original_width", here, 10**7))
    if 0 in size:
        raise here(f"expected an image with width and height above 0, got {size[1]} x {size[0]}.")
    return size


def _image_of_task(task: Mapping[str, Any], here: Fault) -> str:
    """Return the relative path of a task's image, as its address gives it."""
    data: Mapping[str, Any] = task["data"]
    texts = {name: value for name, value in data.items() if isinstance(value, str) and value.strip()}
    found = [name for name, value in texts.items() if _path_of(value).lower().endswith(IMAGE_SUFFIXES)]
    if len(found) > 1 and "image" not in found:
        raise here(f"the task has several images ({', '.join(found)[:200]}), but a cell belongs to one image.")
    name = "image" if "image" in texts else found[0] if found else next(iter(texts), "")
    address = texts.get(name, "")
    if address.startswith("data:"):
        upload = task.get("file_upload")
        return image_name(upload if isinstance(upload, str) and upload else f"task {task.get('id')}", here)
    return image_name(_path_of(address), here)


def _path_of(address: str) -> str:
    """Return the path within a web address, a bucket, Label Studio's local storage, or the path itself."""
    try:
        parts = urlsplit(address.strip())
        if len(parts.scheme) < 2:  # none, or a Windows drive
            if "?d=" not in address:
                return unquote(address.split("?")[0]) if address.startswith("/data/") else address
            parts = urlsplit(address)
        inside = parse_qs(parts.query).get("d")
    except ValueError:
        return address
    return inside[0] if inside else unquote(parts.path)


def _bare(name: str) -> str:
    """Return a name without the folder that Label Studio keeps uploads in."""
    uploaded = _UPLOADED.search(name)
    return uploaded["stamped"] if uploaded else name


def _without_stamp(name: str) -> str:
    uploaded = _UPLOADED.search(name)
    return _STAMP.sub("", uploaded["stamped"]) if uploaded else name
