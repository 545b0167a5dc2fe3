"""Train the models that ship, judge their recipes by cross-validation, and put both into ``resources/models``.

``python scripts/train_starters.py CRIC_FOLDER [--work FOLDER] [--only NAME]``

CRIC_FOLDER holds CRIC's images and its table of cells. Each model is trained on all of it by its recipe,
``starter-NAME``; the figures in its card are those of the same recipe on images that it did not see: three folds by
image, pooled, with intervals over images. A classifier's calibration and costs come from these folds, and its figures
from cross-fitted ones. What is finished in the work folder is not done again.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.domain.presets import preset
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.model_answers import costs_of
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.probabilities import probabilities
from napari_cyto.jobs.events import Done, Event, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle, with_figures, write_bundle
from napari_cyto.models.manifest import Kind
from napari_cyto.slides import open_slide
from napari_cyto.training._kept_outputs import pooled, read_outputs
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.cross_fitting import cross_fitted
from napari_cyto.training.cross_validation import cross_validate
from napari_cyto.training.recipes import recipe
from napari_cyto.training.run import train

STARTERS: dict[str, Kind] = {"nucleus-detector": "detector", "bethesda-light": "classifier"}
FOLDS = 3
EXTRA_COSTS = (1.0, 1.5, 1.5, 1.5, 1.5, 1.5)
"""A missed abnormal cell costs half as much again as a normal one called abnormal, as an earlier cross-validation on
these images chose it."""
OUT_OF_FOLD = {"side": f"out of fold, {FOLDS} folds by image", "judged": True}
PROTOCOL = {
    "protocol": f"{FOLDS} folds by image; each fold's network trained by the very recipe of the model that ships, its "
    "calibration and costs fitted on the other folds. What the recipe itself says (windows, rates, epochs, the extra "
    "cost of a missed abnormal cell) was chosen on these images in earlier cross-validations, which flatters the "
    "figures. CRIC does not tell its patients, so cells of one patient may stand on both sides."
}
RESOURCES = Path(__file__).resolve().parents[1] / "resources" / "models"


def main() -> None:
    """Train, judge and place the models that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cric", type=Path, metavar="CRIC_FOLDER")
    parser.add_argument("--work", type=Path, default=Path("starter-runs"))
    parser.add_argument("--only", choices=STARTERS)
    given = parser.parse_args()
    for name in (given.only,) if given.only else STARTERS:
        make(name, f"cric:{given.cric}", given.work)


def make(name: str, source: str, work: Path) -> None:
    """Make one of the models."""
    work.mkdir(parents=True, exist_ok=True)
    config = recipe(f"starter-{name}", STARTERS[name])
    out = work / name
    if not (work / f"{name}.finished").exists():
        result(train(config, (source,), out, resume=out.exists()))
        (work / f"{name}.finished").touch()
    if STARTERS[name] == "classifier":
        decide(out, config, source, work / f"{name}-folds")
    else:
        crossed = result(cross_validate(config, (source,), work / f"{name}-folds", FOLDS))
        with_figures(read_bundle(out), OUT_OF_FOLD | crossed["metrics"])
    shutil.copytree(out, RESOURCES / name, dirs_exist_ok=True)
    print(f"{RESOURCES / name}: {read_bundle(RESOURCES / name).manifest.weights_bytes / 1e6:.1f} MB")


def decide(out: Path, config: TrainConfig, source: str, folds: Path) -> None:
    """Give a classifier the calibration and costs that its folds tell, and the figures of cross-fitted ones."""
    undecided = {"fixed_temperature": 1.0, "fixed_offsets": (), "miss_costs": "equal"}
    result(cross_validate(config.with_values({"model": undecided}), (source,), folds, FOLDS))
    mpp = {slide.path: slide.mpp for slide in read_training_set((source,), preset("bethesda")).slides}
    known = [outputs(folds / f"fold-{k}", mpp) for k in range(FOLDS)]
    logits, truth = np.concatenate([each for each, _ in known]), np.concatenate([cells.truth for _, cells in known])
    fold = np.repeat(np.arange(FOLDS), [len(cells.truth) for _, cells in known])
    each_fold, of_all = cross_fitted(logits, truth, fold, EXTRA_COSTS)
    evaluated = [
        replace(
            cells,
            probabilities=probabilities(scores, decision),
            costs=costs_of(len(cells.truth), decision.miss_costs),
        )
        for (scores, cells), decision in zip(known, each_fold, strict=True)
    ]
    whole = pooled(evaluated)
    assert isinstance(whole, ScoredCells)
    bundle = read_bundle(out)
    taken = ("temperature", "logit_offsets", "miss_costs")
    decision = bundle.manifest.decision.model_copy(update={name: getattr(of_all, name) for name in taken})
    print({name: getattr(decision, name) for name in taken})
    card = bundle.manifest.card.model_copy(
        update={
            "recipe": config.model_dump(mode="json"),
            "metrics": OUT_OF_FOLD | PROTOCOL | classifier_scores(whole).to_json(),
            "limits": config.limits,
        }
    )
    fields = bundle.manifest.model_copy(update={"decision": decision, "card": card}).model_dump()
    write_bundle(out, fields, bundle.state_dict(), bundle.manifest.weights_dtype)


def outputs(model: Path, mpp: dict[str, float | None]) -> tuple[npt.NDArray[np.float64], ScoredCells]:
    """Return raw outputs (n, views, C) of a fold's network on the cells that it did not see, and these cells."""
    bundle = read_bundle(model)
    cells = read_outputs(RunFolder.of(model).path, bundle.manifest.classes)
    assert isinstance(cells, ScoredCells)
    classifier = CellClassifier(bundle)
    logits = np.empty((len(cells.truth), bundle.manifest.decision.views, len(bundle.manifest.classes)))
    on = np.asarray(cells.slides)
    for path in np.unique(on).tolist():
        here = np.flatnonzero(on == path)
        with open_slide(path) as slide:
            logits[here] = classifier.logits(classifier.rule.cut(slide, cells.centres_yx[here], mpp[path], None))
    return logits, cells


def result(events: Iterator[Event]) -> dict[str, Any]:
    """Tell the events of a run, and return what it ends with."""
    for event in events:
        match event:
            case Done(values):
                return values
            case Failed(message):
                raise SystemExit(message)
            case Noted(message):
                print(message)
            case Measured(values):
                print({key: values[key] for key in ("epoch", "train_loss", "score") if key in values}, flush=True)
    raise SystemExit("The run ended without a last word.")


if __name__ == "__main__":
    main()
