"""Train the models that ship, judge their recipes by cross-validation, and put both into ``resources/models``.

``python scripts/train_starters.py CRIC_FOLDER [--work FOLDER] [--only NAME]``

CRIC_FOLDER holds CRIC's images and its table of cells. Each model is trained on all of it by its recipe,
``starter-NAME``; the figures in its card are those of the same recipe on images that it did not see: three folds by
image, pooled, with intervals over images. What is finished in the work folder is not done again.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_cyto.domain.jobs import Done, Event, Failed, Measured, Noted
from napari_cyto.models.bundle import read_bundle, with_figures
from napari_cyto.models.manifest import Kind
from napari_cyto.training.crossing import cross_validate
from napari_cyto.training.recipes import recipe
from napari_cyto.training.run import train

STARTERS: dict[str, Kind] = {"nucleus-detector": "detector", "bethesda-light": "classifier"}
FOLDS = 3
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
    crossed = result(cross_validate(config, (source,), work / f"{name}-folds", FOLDS))
    figures = {"side": f"out of fold, {FOLDS} folds by image", "judged": True, **crossed["metrics"]}
    with_figures(read_bundle(out), figures)
    shutil.copytree(out, RESOURCES / name, dirs_exist_ok=True)
    print(f"{RESOURCES / name}: {read_bundle(RESOURCES / name).manifest.weights_bytes / 1e6:.1f} MB")


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
