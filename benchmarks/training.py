"""How busy the training loop keeps the processor: its pictures a second against forward and backward on one batch.

Both are measured in the same run, in turns, on made cells. The last line is JSON; ``loader_efficiency`` is the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from napari_cyto.jobs.allocator import ALLOCATOR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="light")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="as in napari-cyto train")
    options = parser.parse_args()
    if sys.platform.startswith("linux") and not all(name in os.environ for name in ALLOCATOR):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(options.recipe, options.set, options.steps, options.turns, Path(folder))))


def measured(recipe_name: str, settings: list[str], steps: int, turns: int, folder: Path) -> dict[str, Any]:
    import torch

    from napari_cyto.training.recipes import recipe, with_settings

    config = with_settings(recipe(recipe_name, "classifier"), settings)
    fitting = prepared(config, steps, folder)
    phase = fitting._enter_phase()
    batch = fitting.fabric.to_device(next(iter(fitting.task.batches(0, config.batch, fitting.share))))
    fitting.task.train_mode(phase)

    def in_memory() -> None:
        for _ in range(steps):
            fitting.fabric.backward(fitting.task.loss(fitting.module, batch))
            fitting.optimiser.zero_grad(set_to_none=True)

    def whole_loop() -> None:
        for _ in fitting._trained(phase):
            pass

    in_memory()
    whole_loop()
    times = [(seconds(in_memory), seconds(whole_loop)) for _ in range(turns)]
    images = config.batch * steps
    return {
        "recipe": config.name,
        "precision": fitting.progress.precision,
        "threads": torch.get_num_threads(),
        "in_memory_images_per_s": round(images / statistics.median(t[0] for t in times), 1),
        "loop_images_per_s": round(images / statistics.median(t[1] for t in times), 1),
        # Of each turn by itself: what else the machine does weighs on both of its halves.
        "loader_efficiency": round(statistics.median(a / b for a, b in times), 3),
        "loader_efficiency_of_turns": [round(a / b, 3) for a, b in times],
    }


def prepared(config: Any, steps: int, folder: Path) -> Any:
    """Return the run's own loop, over made cells that are cut already."""
    import numpy as np

    from napari_cyto.domain.presets import preset
    from napari_cyto.jobs.run_folder import FolderToken, RunFolder
    from napari_cyto.training._loop import Fitting
    from napari_cyto.training.classifier_task import ClassifierTask

    scheme = preset("bethesda")
    data = SimpleNamespace(scheme=scheme, classes=scheme.ids)
    split = SimpleNamespace(groups={})
    rng = np.random.default_rng(0)
    rule, n = config.model.crop_rule, config.batch * steps
    crops = rng.integers(0, 256, (n, len(rule.windows), rule.size_px, rule.size_px, 3), dtype=np.uint8)
    made = SimpleNamespace(crops=crops, class_index=np.arange(n) % len(scheme.ids))

    task = ClassifierTask(config, data, split)  # type: ignore[arg-type]
    task.network, task.crops = task.first_network(), {"train": made}  # type: ignore[dict-item]
    task.ready(np.bincount(made.class_index))
    run = RunFolder(folder)
    fitting = Fitting(task, config, run, FolderToken(run), lambda *_: None, {})
    for event in fitting._begin(None):
        print(getattr(event, "message", ""), file=sys.stderr)
    return fitting


def seconds(work: Callable[[], None]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
