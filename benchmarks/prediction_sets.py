"""How often prediction sets hold the true class on images that were not calibrated, and how large they are.

``python benchmarks/prediction_sets.py cric:DIR`` gives each cell of CRIC a vector by the shipped encoder (kept in the
file ``--vectors``), and probabilities by a logistic head of five folds by image, so no cell is scored by a head that
saw its image. No scores of the shipped classifier are kept that are out of fold, so this head stands for one. Then 200
times half of the images calibrate, chosen at random with as many of each rare class as can be, and the others are
tested: the share of each class's cells whose set holds it, mean over images; how many classes a set has; how many
cells are ambiguous; and how many HSIL and SCC cells have no high-grade class in their set. Beside it the same with all
cells pooled. The table goes to ``benchmarks/results/prediction_sets.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.prediction_sets import PredictionSets, SlideLook
from napari_cyto.domain.presets import preset
from napari_cyto.domain.set_calibration import MUST_FIND, LabelledShares, SetRates, calibrated
from napari_cyto.errors import CytoError

SPLITS, FOLDS = 200, 5
VIEWS = {
    "six classes": {c: c for c in ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")},
    "four classes": {
        "NILM": "NILM",
        "ASC-US": "ASC-US",
        "LSIL": "LSIL",
        "ASC-H": "HSIL",
        "HSIL": "HSIL",
        "SCC": "HSIL",
    },
}
ALPHAS = {"six classes": 0.2, "four classes": 0.1}
LOOK = SlideLook(scanner="CRIC", colour_lab=(60.0, 10.0, 0.0))


@dataclass(frozen=True)
class Scored:
    """Cells with vectors, classes and the image that each lies on."""

    vectors: np.ndarray
    truth: np.ndarray
    images: np.ndarray


def scored(source: str, kept: Path) -> Scored:
    """Return the cells with their vectors: read where they were kept, else made."""
    if not kept.exists():
        make(source, kept)
    with np.load(kept, allow_pickle=False) as found:
        return Scored(found["vectors"], found["classes"].astype(str), found["groups"].astype(str))


def make(source: str, kept: Path) -> None:
    """Write the vectors of the cells of a source by the shipped encoder."""
    from napari_cyto.datasets.training.training_set import read_training_set
    from napari_cyto.inference.embed.encode import CellEncoder
    from napari_cyto.models.library import bundle_named
    from napari_cyto.slides import open_slide

    encoder = CellEncoder(bundle_named("cell-encoder"))
    data = read_training_set([source], "bethesda")
    parts, classes, groups = [], list[str](), list[str]()
    for slide in data.slides:
        with open_slide(slide.path) as opened:
            parts.append(encoder.vectors(encoder.rule.cut(opened, slide.centres_yx, slide.mpp)))
        classes += [data.classes[place] for place in slide.class_index.tolist()]
        groups += [slide.key] * len(slide.centres_yx)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, vectors=np.concatenate(parts), classes=np.array(classes), groups=np.array(groups))


def out_of_fold(cells: Scored, classes: list[str], names: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (n, k) by heads that did not see the image of a cell, and true classes (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    truth = np.array([classes.index(names[c]) for c in cells.truth])
    shares = np.zeros((len(truth), len(classes)))
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(
        cells.vectors, truth, cells.images
    ):
        mean, std = cells.vectors[train].mean(axis=0), cells.vectors[train].std(axis=0) + 1e-6
        head = LogisticRegression(C=0.01, max_iter=500)
        head.fit((cells.vectors[train] - mean) / std, truth[train])
        shares[np.ix_(test, head.classes_)] = head.predict_proba((cells.vectors[test] - mean) / std)
    return shares, truth


def halves(rng: np.random.Generator, truth: np.ndarray, images: np.ndarray, classes: int) -> np.ndarray:
    """Return which cells calibrate: those of half of the images, of those with each rare class half as well."""
    rarest: dict[str, int] = {}
    of_class = [set(images[truth == place]) for place in range(classes)]
    for image in sorted(set(images)):
        rarest[image] = min((p for p in range(classes) if image in of_class[p]), key=lambda p: len(of_class[p]))
    chosen = set()
    for place in range(classes):
        mine = rng.permutation([image for image, own in rarest.items() if own == place])
        # The odd one goes to either half, so that no class is favoured.
        chosen |= set(mine[: (len(mine) + int(rng.integers(2))) // 2])
    return np.isin(images, list(chosen))


def mean_by_image(values: np.ndarray, images: np.ndarray) -> float:
    """Return the mean over images of the means over their cells."""
    _, of, sizes = np.unique(images, return_inverse=True, return_counts=True)
    return float((np.bincount(of, values) / sizes).mean())


def tested(found: PredictionSets, shares: np.ndarray, truth: np.ndarray, images: np.ndarray) -> dict[str, float]:
    """Return what the sets come to on cells that were not calibrated."""
    sets = found.sets(shares)
    sizes = sets.sum(axis=1)
    figures: dict[str, float] = {
        "set size": float(sizes.mean()),
        "ambiguous": float((sizes != 1).mean()),
        "empty": float((sizes == 0).mean()),
    }
    ids = found.class_ids
    for place, name in enumerate(ids):
        mine = truth == place
        if mine.any():
            figures[f"covered {name}"] = mean_by_image(sets[mine, place], images[mine])
            figures[f"ambiguous {name}"] = float((sizes[mine] != 1).mean())
    rule = found.high_grade
    assert rule is not None
    high = [ids.index(c) for c in rule.classes]
    mine = np.isin(truth, [ids.index(c) for c in rule.must_find])
    if mine.any():
        figures["HSIL or SCC without high grade"] = mean_by_image(~sets[mine][:, high].any(axis=1), images[mine])
    red = sets[:, high].any(axis=1) & sets[:, ids.index("NILM")]
    return figures | {"NILM and high grade": float(red.mean())}


def splits(shares: np.ndarray, truth: np.ndarray, images: np.ndarray, classes: list[CellClass], alpha: float) -> Any:
    """Return the figures over the splits, with the groups that are images, and as if each cell were one."""
    rng = np.random.default_rng(0)
    figures: dict[str, dict[str, list[float]]] = {"images": defaultdict(list), "pooled cells": defaultdict(list)}
    refused = 0
    rates = SetRates(alpha=alpha, high_grade_alpha=alpha)
    for _ in range(SPLITS):
        part = halves(rng, truth, images, len(classes))
        for how, groups in (("images", images), ("pooled cells", np.arange(len(images)).astype(str))):
            mine = groups[part].tolist()
            cells = LabelledShares(
                classes, shares[part], truth[part], mine, mine, dict.fromkeys(mine, LOOK), unit="images"
            )
            try:
                found = calibrated(cells, rates, ("out of fold", "0" * 64), "cric")
            except CytoError:
                refused += how == "images"
                continue
            for name, value in tested(found, shares[~part], truth[~part], images[~part]).items():
                figures[how][name].append(value)
    means = {
        how: {name: round(float(np.mean(values)), 4) for name, values in of.items()} for how, of in figures.items()
    }
    errors = {name: round(float(np.std(v) / np.sqrt(len(v))), 4) for name, v in figures["images"].items()}
    return {"alpha": alpha, "refused": refused, **means, "simulation error": errors}


def main() -> None:
    """Print the figures, and keep them in ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="cric:DIR")
    parser.add_argument("--vectors", type=Path, required=True, help="where the vectors are kept")
    options = parser.parse_args()
    began = time.perf_counter()
    cells = scored(options.source, options.vectors)
    found: dict[str, Any] = {"cells": len(cells.truth), "images": len(set(cells.images.tolist()))}
    scheme = preset("bethesda")
    for view, names in VIEWS.items():
        classes = [c for c in scheme.classes if c.id in names.values()]
        shares, truth = out_of_fold(cells, [c.id for c in classes], names)
        found[view] = {
            "images of each class": {c.id: len(set(cells.images[truth == p].tolist())) for p, c in enumerate(classes)},
            "accuracy": round(float((shares.argmax(axis=1) == truth).mean()), 4),
            **splits(shares, truth, cells.images, classes, ALPHAS[view]),
        }
    found |= {"splits": SPLITS, "must find": MUST_FIND, "seconds": round(time.perf_counter() - began, 1)}
    place = Path(__file__).parent / "results" / "prediction_sets.json"
    place.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
