"""What teaching by examples costs in labels and in time.

``python benchmarks/teaching.py curves --vectors NAME=FILE.npz`` draws how the head grows with the labels: the true
classes of the cells answer instead of a person, three folds by image and ten seeds, the suggestions of the dock against
cells in random order. The bar: 95 % of the macro F1 of a head that was given all labels, for at most 0.7 of the labels
that random order takes, and for no fold more than 1.1. ``make --encoder BUNDLE --cric DIR --sipakmed DIR --out FOLDER``
makes such files; each holds ``vectors`` (n, length), ``classes`` and ``groups`` (n,), texts.

``python benchmarks/teaching.py window`` acts the dock on 40,000 waiting cells with real keys: from a key to the new
order on screen, 150 ms at most in the median.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.vectors.teaching.examples import Answer
from napari_cyto.vectors.teaching.lesson import Lesson

FOLDS, SEEDS = 3, 10
PER_CLASS = 2
"""Examples of each class that both orders begin with."""
BATCH = 20
TARGET = 0.95
OF_CRIC = {"NILM": "NILM", "ASC-US": "ASC-US", "LSIL": "LSIL", "ASC-H": "HSIL", "HSIL": "HSIL", "SCC": "HSIL"}
"""Four classes: the scheme's own coarser view."""
SEVERITY = {"NILM": 0, "ASC-US": 1, "LSIL": 2, "HSIL": 4}
SEVERITY |= {"superficial_intermediate": 0, "parabasal": 0, "metaplastic": 1, "koilocytotic": 2, "dyskeratotic": 4}
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2")


@dataclass(frozen=True)
class Cells:
    """Vectors with their truth, and what is kept together."""

    vectors: np.ndarray
    classes: np.ndarray
    groups: np.ndarray

    def at(self, chosen: np.ndarray) -> Cells:
        """Return some of them."""
        return Cells(self.vectors[chosen], self.classes[chosen], self.groups[chosen])


def load(path: Path) -> Cells:
    """Read a file that ``make`` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        return Cells(kept["vectors"], kept["classes"].astype(str), kept["groups"].astype(str))


def folds(cells: Cells) -> Iterator[tuple[Cells, Cells]]:
    """Yield what is learnt from and what is tested on, groups whole."""
    names = np.unique(cells.groups)
    np.random.default_rng(0).shuffle(names)
    fold_of = {name: number % FOLDS for number, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in cells.groups])
    for number in range(FOLDS):
        yield cells.at(fold != number), cells.at(fold == number)


def lesson_on(cells: Cells) -> Lesson:
    """Return a lesson of which all cells wait; its basis is theirs alone."""
    names = sorted(set(cells.classes.tolist()), key=lambda name: (SEVERITY.get(name, 0), name))
    scheme = ClassScheme(
        "oracle", 1, tuple(CellClass(n, n, c, "", SEVERITY.get(n, 0)) for n, c in zip(names, COLOURS, strict=False))
    )
    ids = [f"{number:032x}" for number in range(len(cells.classes))]
    return Lesson(ids, cells.groups.tolist(), cells.vectors, scheme)


def macro_f1(lesson: Lesson, places: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean F1 over the classes of the truth; a class that the head does not know has 0."""
    assert lesson.head is not None
    called = np.array(lesson.head.classes)[lesson.head.scores(places).argmax(axis=1)]
    scores = []
    for name in lesson.scheme.ids:
        both, total = ((called == name) & (truth == name)).sum(), (called == name).sum() + (truth == name).sum()
        scores.append(2 * both / total if total else 0.0)
    return float(np.mean(scores))


def curve(lesson: Lesson, truth: np.ndarray, tested: tuple[np.ndarray, np.ndarray], how: str, seed: int, most: int):
    """Return the macro F1 on ``tested`` (places, classes) after each 20 labels."""
    rng = np.random.default_rng(seed)
    lesson.forget()
    lesson.is_waiting[:] = True

    def answer(rows: Sequence[int]) -> None:
        for row in rows:
            lesson.teach(lesson.ids[row], Answer(str(truth[row])))
            lesson.is_waiting[row] = False

    for name in lesson.scheme.ids:
        answer(rng.choice(np.flatnonzero(truth == name), PER_CLASS, replace=False).tolist())
    found, labels = [], PER_CLASS * len(lesson.scheme.ids)
    while True:
        lesson.learn()
        found.append(macro_f1(lesson, *tested))
        labels += BATCH
        waiting = lesson.waiting_rows
        if labels > most or len(waiting) < BATCH:
            return found
        if how == "random":
            answer(rng.choice(waiting, BATCH, replace=False).tolist())
        else:
            drawn = lesson.suggestions(count=BATCH, seed=int(rng.integers(2**31)))
            answer([lesson.row_of[each.cell_id] for each in drawn])


def labels_to(scores: Sequence[float], target: float, start: int) -> float:
    """Return how many labels a curve needs to come to a target; NaN where it does not."""
    reached = np.flatnonzero(np.asarray(scores) >= target)
    return float(start + BATCH * reached[0]) if len(reached) else float("nan")


def measured(cells: Cells, seeds: int, most: int) -> list[dict[str, Any]]:
    """Return a row for each fold."""
    rows = []
    for number, (learnt, tested) in enumerate(folds(cells)):
        lesson = lesson_on(learnt)
        truth = (lesson.basis.project(tested.vectors), tested.classes)
        for row, name in enumerate(learnt.classes):
            lesson.teach(lesson.ids[row], Answer(str(name)))
        lesson.learn(afresh=True)
        full = macro_f1(lesson, *truth)
        start = PER_CLASS * len(lesson.scheme.ids)
        row = {"fold": number, "cells": len(learnt.classes), "full_f1": round(full, 3)}
        for how in ("random", "suggested"):
            of_seeds = np.array([curve(lesson, learnt.classes, truth, how, seed, most) for seed in range(seeds)])
            middle = of_seeds.mean(axis=0)
            row[f"{how}_labels"] = labels_to(middle, TARGET * full, start)
            row[f"{how}_median_of_runs"] = float(
                np.nanmedian([labels_to(one, TARGET * full, start) for one in of_seeds])
            )
            row[f"{how}_f1"] = {start + BATCH * n: round(float(middle[n]), 3) for n in range(0, len(middle), 5)}
        row["ratio"] = round(row["suggested_labels"] / row["random_labels"], 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def curves(options: argparse.Namespace) -> dict[str, Any]:
    """Draw the curves of each file."""
    result = {}
    for named in options.vectors:
        name, _, path = named.partition("=")
        rows = measured(load(Path(path)), options.seeds, options.most)
        ratios = [row["ratio"] for row in rows]
        result[name] = {"folds": rows, "ratio": round(float(np.mean(ratios)), 2), "worst": max(ratios)}
    return result


# Making the vectors


def make(options: argparse.Namespace) -> dict[str, Any]:
    """Write the vectors of CRIC's and SIPaKMeD's cells by an encoder."""
    from napari_cyto.inference.embed._encode import CellEncoder

    from napari_cyto.models.bundle import read_bundle

    encoder = CellEncoder(read_bundle(options.encoder))
    options.out.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, source, read in (("cric", options.cric, cric), ("sipakmed", options.sipakmed, sipakmed)):
        if source is None:
            continue
        parts, classes, groups = [], list[str](), list[str]()
        for crops, own_classes, group in read(source, encoder.rule):
            parts.append(encoder.vectors(crops))
            classes += own_classes
            groups += [group] * len(own_classes)
        path = options.out / f"{name}.npz"
        np.savez(path, vectors=np.concatenate(parts), classes=np.array(classes), groups=np.array(groups))
        made[name] = str(path)
    return made


def cric(folder: Path, rule: Any) -> Iterator[tuple[np.ndarray, list[str], str]]:
    """Yield the cells of each field, as the rule cuts them, with their class of four."""
    from napari_cyto.slides import open_slide

    of_image = defaultdict(list)
    with (folder / "cells.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            of_image[row["image"]].append(row)
    for image, rows in sorted(of_image.items()):
        mpp = 0.228 / float(rows[0]["px_per_cric_px"])
        centres = np.array([(float(row["y"]), float(row["x"])) for row in rows])
        with open_slide(folder / "images" / image) as slide:
            yield rule.cut(slide, centres, mpp), [OF_CRIC[row["bethesda"]] for row in rows], image


def sipakmed(folder: Path, rule: Any) -> Iterator[tuple[np.ndarray, list[str], str]]:
    """Yield the crops of each source image; their scale is not published, so each fills its window."""
    from PIL import Image

    of_source = defaultdict(list)
    for path in sorted(folder.glob("*/*")):
        of_source[path.parent.name, path.stem.partition("_")[0]].append(path)
    for (name, source), paths in of_source.items():
        crops = []
        for path in paths:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            side = max(image.size)
            square = Image.new("RGB", (side, side), (255, 255, 255))
            square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
            crops.append(np.asarray(square.resize((rule.size_px, rule.size_px), Image.Resampling.BILINEAR)))
        windows = np.stack(crops)[:, None].repeat(len(rule.windows), axis=1)
        yield windows, [name] * len(paths), f"{name}/{source}"


# The dock


def window(options: argparse.Namespace) -> dict[str, Any]:
    """Act the dock on many waiting cells with real keys; needs a screen."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QDockWidget
    from review import make_slide, settle

    from napari_cyto.widgets.docks.teach.dock import MOST_LIKE, TeachDock
    from napari_cyto.widgets.window import open_window, window_of

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_slide(folder / "made.tif")
        begun_with(folder / "made.cyto", folder / "made.tif", options.cells, options.length)
        opened = window_of(open_window(folder / "made.cyto"))
        dock = opened.dock(TeachDock)
        holder: Any = dock
        while not isinstance(holder, QDockWidget):
            holder = holder.parentWidget()
        began = time.perf_counter()
        holder.raise_()
        while dock.keeper.lesson is None:
            settle()
        open_s = time.perf_counter() - began
        dock.order.setCurrentIndex(dock.order.findData(MOST_LIKE))
        dock.refresh()
        while dock.review.is_being_made or not dock.review.cells:
            settle()
        dock.gallery.setFocus()
        took, worked = [], []
        for turn in range(options.keys):
            for _ in range(3):
                settle()
            before = dock.session.teaching.likeness
            began, work = time.perf_counter(), time.process_time()
            QTest.keyClick(dock.gallery, Qt.Key.Key_T if turn % 3 else Qt.Key.Key_O)
            dock.gallery.viewport().repaint()
            took.append(1e3 * (time.perf_counter() - began))
            worked.append(1e3 * (time.process_time() - work))
            assert dock.session.teaching.likeness is not before
        listed = len(dock.review.cells)
        opened.viewer.close()
        settle()
    return {
        "cells": listed,
        "open_s": round(open_s, 2),
        "order_ms": round(float(np.median(took)), 1),
        "order_cpu_ms": round(float(np.median(worked)), 1),
        "slowest_tenth_ms": round(float(np.quantile(took, 0.9)), 1),
    }


def begun_with(folder: Path, slide: Path, cells: int, length: int) -> None:
    """Make a project of waiting cells with vectors, 200 of which are labelled already."""
    from review import make_project

    from napari_cyto.domain.taught import example_edit
    from napari_cyto.store import Project
    from napari_cyto.vectors import VectorKind, cell_places, open_vectors

    make_project(folder, slide, cells)
    rng = np.random.default_rng(0)
    kinds = rng.choice(4, cells, p=[0.8, 0.1, 0.06, 0.04])
    names = ("NILM", "ASC-US", "LSIL", "HSIL")
    with Project.open(folder) as project:
        record = project.slides()[0]
        places = cell_places(project, record.id)
        middles = rng.standard_normal((4, length))
        vectors = (middles[kinds] + 1.5 * rng.standard_normal((cells, length))).astype(np.float16)
        kind = VectorKind(encoder="planted", sha256="ab" * 32, crop="{}", length=length)
        open_vectors(project, kind).add(list(places.ids), [record.id] * cells, places.centres_yx, vectors)
        of_name = defaultdict(list)
        for row in rng.choice(cells, 200, replace=False).tolist():
            of_name[names[kinds[row]]].append(places.ids[row])
        for name, ids in of_name.items():
            edit = example_edit(list(project.annotations_by_id(ids)), "made", name)
            assert edit is not None
            project.apply(edit, "made")
        project.set_setting("session.taught_class", "HSIL")


def main() -> None:
    """Measure, and end in a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    drawing = verbs.add_parser("curves")
    drawing.add_argument("--vectors", nargs="+", required=True, metavar="NAME=FILE.npz")
    drawing.add_argument("--seeds", type=int, default=SEEDS)
    drawing.add_argument("--most", type=int, default=2400, help="labels of a curve")
    making = verbs.add_parser("make")
    making.add_argument("--encoder", type=Path, required=True)
    making.add_argument("--cric", type=Path)
    making.add_argument("--sipakmed", type=Path)
    making.add_argument("--out", type=Path, required=True)
    acting = verbs.add_parser("window")
    acting.add_argument("--cells", type=int, default=40_000)
    acting.add_argument("--length", type=int, default=384, help="numbers of a vector")
    acting.add_argument("--keys", type=int, default=60)
    options = parser.parse_args()
    began = time.monotonic()
    result = {"curves": curves, "make": make, "window": window}[options.verb](options)
    print(json.dumps(result | {"seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    main()
