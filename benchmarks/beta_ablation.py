"""What the repeats of targets in one-to-many matching are worth: the same detector trained with each beta.

    python benchmarks/beta_ablation.py --data cric:../shared/data/cric --out /tmp/beta --betas 1,2,4,6

A row a beta on the way, then a JSON object with all of them, from the sides that had no say in the training. Each run
goes to a bundle of its own below ``--out``; what is there already is not trained again, so the command can be repeated
after an interruption. Source: Patherea (Stepec et al.), section 6.5.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.jobs.events import Done, Failed, Measured
from napari_cyto.models.bundle import read_bundle
from napari_cyto.training._checkpoint import TENSORS
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.recipes import recipe
from napari_cyto.training.run import train

# What is told of a run, and with how many digits; recall is at three detections a labelled cell.
COLUMNS = {"recall": 3, "per_cell": 2, "error_um": 2, "f1": 3, "macro_f1": 3, "minutes": 1}


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    if arguments is None and sys.platform.startswith("linux") and not all(name in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    config = recipe(options.recipe, "detector")
    phases = [p.model_dump() | ({"epochs": options.epochs} if options.epochs else {}) for p in config.phases]
    rows = []
    print("beta" + "".join(f"{name:>12}" for name in COLUMNS))
    for beta in (int(b) for b in options.betas.split(",")):
        for seed in range(options.seeds):
            changed = config.with_values({"model": {"beta": beta}, "phases": phases, "seed": seed})
            row = {"beta": beta, "seed": seed} | trained(
                changed, tuple(options.data), options.out / f"beta-{beta}-{seed}"
            )
            rows.append(row)
            shown = [text(row[name], digits) for name, digits in COLUMNS.items()]
            print(f"{beta:>4}" + "".join(f"{value:>12}" for value in shown), flush=True)
    print(json.dumps({"recipe": config.name, "data": options.data, "rows": rows}))
    return 0


def trained(config: TrainConfig, sources: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Return the held-out figures of one run."""
    started, metrics = time.monotonic(), None
    if (out / "model.json").is_file():
        # A run that was interrupted leaves its best model, which nobody has judged yet.
        kept = read_bundle(out).manifest.card.metrics
        metrics = kept if "detection" in kept else None
    if metrics is None:
        out.parent.mkdir(parents=True, exist_ok=True)
        resume = (out.with_name(f"{out.name}.run") / TENSORS).is_file()
        for event in train(config, sources, out, resume=resume):
            if isinstance(event, Measured):
                print(f"  epoch {event.values['epoch']}: {event.values['score']}", file=sys.stderr, flush=True)
            if isinstance(event, Failed):
                raise SystemExit(event.message)
            if isinstance(event, Done):
                metrics = event.result["metrics"]
    assert metrics is not None
    figures = metrics["detection"]
    budget = figures["at_detections_per_cell"]
    return {
        "recall": budget["recall"],
        "per_cell": budget["detections_per_cell"],
        "error_um": figures["median_error_um"],
        "f1": figures["f1"],
        "macro_f1": figures["macro_f1"],
        "minutes": (time.monotonic() - started) / 60,
    }


def text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="as napari-cyto train reads it; may be repeated")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundles")
    parser.add_argument("--betas", default="1,2,4,6", help="with commas")
    parser.add_argument("--recipe", default="p2p-light", help="of a point detector")
    parser.add_argument("--epochs", type=int, default=0, help="of each phase; 0: the recipe's")
    parser.add_argument("--seeds", type=int, default=1, help="runs a beta")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
