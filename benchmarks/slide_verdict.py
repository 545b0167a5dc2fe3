"""What a model of whole slides is worth, without any real slide whose outcome is known.

``python benchmarks/slide_verdict.py smears``: slides of 200 cells, 0 to 5 % of them HSIL, drawn from the cells of
twelve synthetic smears of different stains; in each repeat six of them are learnt from and six tested on. Accuracy,
sensitivity and AUROC against that share; the attention's AUROC on the abnormal cells. Some twelve minutes on two cores.

``python benchmarks/slide_verdict.py whole``: the 24 whole smears of ``scripts/made_up_slides.py``, half of them
with 0.75 to 5 % HSIL cells, in repeated folds. ``--project FOLDER`` takes the project that the script made before.

``python benchmarks/slide_verdict.py make --encoder BUNDLE --cric DIR --out FOLDER`` makes vectors: of the cells of the
twelve smears, and of the fields of CRIC; ``--vectors FOLDER`` takes them.

``python benchmarks/slide_verdict.py cric --vectors FOLDER``: each field of CRIC is a bag of its cells, positive
with a cell of ASC-H, HSIL or SCC (20 of 175). Repeated folds by image; beside it the field's highest single cell by a
logistic head that was taught every cell, which knows far more.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_cyto.evaluation.classification import auroc
from napari_cyto.training.slide.slide_config import SlideTrainConfig

HIGH = ("ASC-H", "HSIL", "SCC")
SHARES = (0.005, 0.01, 0.02, 0.03, 0.05)
CELLS = 200
SMEARS = 12
FOLDS = 5
SMEAR_PX = 2400
DENSE = {"NILM": 900.0, "HSIL": 260.0}
CRIC_UM = 0.228


def make(options: argparse.Namespace) -> None:
    """Write one file a source: ``vectors``, ``classes``, ``groups``."""
    from napari_cyto.datasets.colour_match import match_for
    from napari_cyto.inference.runtimes.choice import RuntimeRequest, crop_runtime
    from napari_cyto.models.library import bundle_named
    from napari_cyto.slides import open_slide
    from napari_cyto.synthesis import SmearSpec, obtain_smear

    bundle = bundle_named(options.encoder)
    rule = bundle.manifest.crop_rule
    runtime, _ = crop_runtime(bundle, RuntimeRequest("cpu", "auto", "auto"))
    options.out.mkdir(parents=True, exist_ok=True)

    def encoded(path: Path, centres: np.ndarray, mpp: float) -> np.ndarray:
        with open_slide(path) as slide:
            colour = match_for(slide, bundle.manifest.colour, rule.icc)
            parts = [
                runtime.outputs(rule.cut(slide, centres[n : n + 64], mpp, colour), None)
                for n in range(0, len(centres), 64)
            ]
        return np.concatenate(parts).astype(np.float16)

    def keep(name: str, found: list[tuple[np.ndarray, list[str], str]]) -> None:
        vectors = np.concatenate([v for v, *_ in found])
        classes = np.array([c for _, of, _ in found for c in of])
        groups = np.array([g for _, of, g in found for _ in of])
        np.savez(options.out / f"{name}.npz", vectors=vectors, classes=classes, groups=groups)
        print(name, vectors.shape, flush=True)

    found = []
    for seed in range(11, 11 + SMEARS):
        smear = obtain_smear(SmearSpec((SMEAR_PX, SMEAR_PX), seed, cells_mm2=DENSE), f"slide verdict {seed}")
        cells = [a for a in smear.truth.annotations if a.class_id in DENSE]
        centres = np.array([cell.geometry.centre_yx for cell in cells])
        found.append((encoded(smear.slide_path, centres, 0.25), [c.class_id for c in cells], str(seed)))
    keep("smears", found)
    if options.cric is None:
        return
    by_image: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (options.cric / "cells.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            by_image[row["image"]].append(row)
    found = []
    for image, rows in by_image.items():
        centres = np.array([(float(row["y"]), float(row["x"])) for row in rows])
        mpp = CRIC_UM / float(rows[0]["px_per_cric_px"])
        found.append((encoded(options.cric / "images" / image, centres, mpp), [r["bethesda"] for r in rows], image))
    keep("cric", found)


def loaded(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors float32, classes and groups of a file that ``make`` wrote."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as kept:
        return kept["vectors"].astype(np.float32), kept["classes"].astype(str), kept["groups"].astype(str)


def fitted(bags: list[np.ndarray], labels: np.ndarray, config: SlideTrainConfig, seed: int) -> tuple[list[Any], Any]:
    """Return the networks of all seeds, a fifth of the bags held out for early stopping, and their scaling."""
    from napari_cyto.training.slide._fitting import Scaling, fit, trained

    chance = np.random.default_rng(seed)
    held = np.zeros(len(bags), bool)
    for kind in (True, False):
        rows = chance.permutation(np.flatnonzero(labels == kind))
        held[rows[: max(1, len(rows) // 5)]] = True
    train, validation = [bags[n] for n in np.flatnonzero(~held)], [bags[n] for n in np.flatnonzero(held)]
    scaling = Scaling.of(train)
    of_training = (train, labels[~held], validation, labels[held], config)
    return [trained(fit(*of_training, seed * 100 + n, scaling)) for n in range(config.seeds)], scaling


def answers(networks: list[Any], scaling: Any, bags: list[np.ndarray]) -> np.ndarray:
    """Return the mean logit of each bag."""
    from napari_cyto.training.slide._fitting import logits_of

    return np.array([logits_of(networks, bag, scaling).mean() for bag in bags])


def spread(values: list[float]) -> dict[str, float]:
    """Return mean, standard deviation and the middle 95 % of repeats."""
    found = np.array(values)
    low, high = np.quantile(found, [0.025, 0.975])
    return {
        k: round(float(v), 4) for k, v in (("mean", found.mean()), ("sd", found.std()), ("low", low), ("high", high))
    }


def smears(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the model finds on made-up slides, by the share of their abnormal cells."""
    from napari_cyto.training.slide._fitting import attention_on

    config = SlideTrainConfig(seeds=3, epochs=40, patience=10)
    if options.vectors is None:
        options.out = options.vectors = options.scratch
        make(options)
    vectors, classes, groups = loaded(options.vectors, "smears")

    def bag(chance: np.random.Generator, of: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        smear = chance.choice(of)
        few = round(share * CELLS)
        rows = [
            chance.choice(np.flatnonzero((groups == smear) & (classes == name)), count, replace=count > 60)
            for name, count in (("HSIL", few), ("NILM", CELLS - few))
        ]
        return vectors[np.concatenate(rows)], np.arange(CELLS) < few

    repeats: dict[str, list[float]] = defaultdict(list)
    for repeat in range(options.repeats):
        chance = np.random.default_rng(repeat)
        learnt, tested = np.split(chance.permutation(np.unique(groups)), 2)
        given = [0.0, *SHARES]
        shares = [0.0 if n % 2 else given[1 + (n // 2) % len(SHARES)] for n in range(options.bags)]
        train = [bag(chance, learnt, share)[0] for share in shares]
        networks, scaling = fitted(train, np.array(shares) > 0, config, repeat)
        negative = answers(networks, scaling, [bag(chance, tested, 0.0)[0] for _ in range(options.tested)])
        repeats["0 specificity"].append(float((negative <= 0).mean()))
        for share in SHARES:
            made = [bag(chance, tested, share) for _ in range(options.tested)]
            positive = answers(networks, scaling, [vectors for vectors, _ in made])
            truth = np.r_[np.ones(len(positive), bool), np.zeros(len(negative), bool)]
            score = np.r_[positive, negative]
            name = f"{100 * share:g} %"
            repeats[f"{name} sensitivity"].append(float((positive > 0).mean()))
            repeats[f"{name} accuracy"].append(float(((score > 0) == truth).mean()))
            repeats[f"{name} auroc"].append(auroc(truth, score) or 0.0)
            looked = [auroc(is_abnormal, attention_on(networks, vectors, scaling)) for vectors, is_abnormal in made]
            repeats[f"{name} attention auroc"].append(float(np.mean([x for x in looked if x is not None])))
    return {name: spread(values) for name, values in repeats.items()}


def whole(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the model finds on whole made-up smears that it was not trained with, over repeated folds."""
    from napari_cyto.domain.statistics.bootstrap import estimate, share_estimate
    from napari_cyto.evaluation.slide_reliability import auroc_estimate
    from napari_cyto.inference.slide_scores.bags import cell_bag
    from napari_cyto.store import Project
    from napari_cyto.training.slide._fitting import attention_on
    from napari_cyto.vectors import vector_kinds

    if options.project is None:
        options.project = options.scratch / "made_up.cyto"
        script = Path(__file__).resolve().parents[1] / "scripts" / "made_up_slides.py"
        subprocess.run([sys.executable, str(script), str(options.project)], check=True)
    config = SlideTrainConfig(seeds=3)
    with Project.open(options.project) as project:
        kind = vector_kinds(project)[0]
        records = [record for record in project.slides() if record.interpretation is not None]
        found = [cell_bag(project, record, kind) for record in records]
        abnormal = {a.id for record in records for a in project.annotations(record.id) if a.class_id == "HSIL"}
    bags, is_abnormal = [bag.vectors for bag in found], [np.array([i in abnormal for i in bag.ids]) for bag in found]
    labels = np.array([each.any() for each in is_abnormal])
    logits, looked = np.zeros((options.repeats, len(bags))), np.full((options.repeats, len(bags)), np.nan)
    for repeat in range(options.repeats):
        fold = folds_of(labels, np.random.default_rng(repeat), FOLDS)
        for number in range(FOLDS):
            train = np.flatnonzero(fold != number)
            networks, scaling = fitted([bags[n] for n in train], labels[train], config, repeat * FOLDS + number)
            for n in np.flatnonzero(fold == number):
                logits[repeat, n] = answers(networks, scaling, [bags[n]])[0]
                if labels[n]:
                    looked[repeat, n] = auroc(is_abnormal[n], attention_on(networks, bags[n], scaling))
    smear = [str(n) for n in range(len(bags))]
    called, mean = (logits > 0).mean(0) > 0.5, logits.mean(0)

    def over_smears(rows: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        of = [smear[n] for n in rows]
        return estimate(lambda drawn: float(values[rows][drawn].mean()), of).to_json()

    right, positive = (logits > 0) == labels, np.flatnonzero(labels)
    percent = np.array([round(100 * each.mean(), 1) for each in is_abnormal])
    return {
        "smears": len(bags),
        "positive": int(labels.sum()),
        "cells": sum(map(len, bags)),
        "auroc between repeats": spread([auroc(labels, each) or 0.0 for each in logits]),
        "auroc": auroc_estimate(labels, mean, smear).to_json(),
        "sensitivity": share_estimate(called & labels, labels, smear).to_json(),
        "specificity": share_estimate(~called & ~labels, ~labels, smear).to_json(),
        "attention auroc": over_smears(positive, looked.mean(0)),
        "by smear": [
            {
                "abnormal %": float(percent[n]),
                "abnormal": int(is_abnormal[n].sum()),
                "right of repeats": float(right[:, n].mean()),
                "attention auroc": spread(looked[:, n].tolist()),
            }
            for n in sorted(positive.tolist(), key=lambda n: percent[n])
        ],
    }


def folds_of(labels: np.ndarray, chance: np.random.Generator, folds: int) -> np.ndarray:
    """Return the fold of each bag, as many positive ones in each as can be."""
    fold = np.empty(len(labels), int)
    for kind in (True, False):
        of = chance.permutation(np.flatnonzero(labels == kind))
        fold[of] = np.arange(len(of)) % folds
    return fold


def cric(options: argparse.Namespace) -> dict[str, Any]:
    """Return AUROC and average precision on fields, over repeated folds by image, out of fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score

    from napari_cyto.training.slide._fitting import attention_on

    config = SlideTrainConfig(seeds=3, epochs=40, patience=10)
    vectors, classes, groups = loaded(options.vectors, "cric")
    images = np.unique(groups)
    rows = [np.flatnonzero(groups == image) for image in images]
    is_high = np.isin(classes, HIGH)
    labels = np.array([is_high[each].any() for each in rows])
    bags = [vectors[each] for each in rows]
    sizes = np.array([len(each) for each in rows], np.float64)
    repeats: dict[str, list[float]] = defaultdict(list)
    for repeat in range(options.repeats):
        chance = np.random.default_rng(repeat)
        fold = folds_of(labels, chance, FOLDS)
        logits, highest = np.zeros(len(images)), np.zeros(len(images))
        looked = []
        for number in range(FOLDS):
            train = np.flatnonzero(fold != number)
            networks, scaling = fitted([bags[n] for n in train], labels[train], config, repeat * FOLDS + number)
            cells = np.concatenate([rows[n] for n in train])
            head = LogisticRegression(C=0.01, max_iter=300, class_weight="balanced")
            head.fit((vectors[cells] - scaling.mean) / scaling.std, is_high[cells])
            for n in np.flatnonzero(fold == number):
                logits[n] = answers(networks, scaling, [bags[n]])[0]
                highest[n] = head.decision_function((bags[n] - scaling.mean) / scaling.std).max()
                if (
                    labels[n]
                    and (found := auroc(is_high[rows[n]], attention_on(networks, bags[n], scaling))) is not None
                ):
                    looked.append(found)
        repeats["auroc"].append(auroc(labels, logits) or 0.0)
        repeats["average precision"].append(float(average_precision_score(labels, logits)))
        repeats["sensitivity"].append(float((logits[labels] > 0).mean()))
        repeats["specificity"].append(float((logits[~labels] <= 0).mean()))
        repeats["attention auroc on the cells"].append(float(np.mean(looked)))
        repeats["auroc of the number of cells alone"].append(auroc(labels, sizes) or 0.0)
        repeats["auroc of the highest cell, cells labelled"].append(auroc(labels, highest) or 0.0)
    return {
        "fields": len(images),
        "positive": int(labels.sum()),
        "prevalence": round(float(labels.mean()), 4),
        **{name: spread(values) for name, values in repeats.items()},
    }


def main() -> None:
    """Run what the words ask for, and keep it in ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "smears", "whole", "cric"))
    parser.add_argument("--encoder", default="cell-encoder")
    parser.add_argument("--project", type=Path)
    parser.add_argument("--cric", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--bags", type=int, default=60, help="slides that are learnt from")
    parser.add_argument("--tested", type=int, default=50, help="slides of each share that are tested on")
    options = parser.parse_args()
    if options.what == "make":
        make(options)
        return
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        found = {"smears": smears, "whole": whole, "cric": cric}[options.what](options)
    found |= {"repeats": options.repeats, "seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(found, indent=1))
    place = Path(__file__).parent / "results" / f"slide_verdict_{options.what}.json"
    place.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
