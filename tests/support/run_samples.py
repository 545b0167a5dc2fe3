"""Training runs without training: the folder that a run writes, filled from made-up figures; also played as a process.

``python run_samples.py OUT EPOCHS SECONDS_AN_EPOCH`` plays one, hears wishes, and ends as a run does.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import FolderToken, RunFolder
from napari_cyto.training.config import TrainConfig

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
CELLS = (652, 58, 77, 13, 43, 12)


def measured(epoch: int, epochs: int, slides: list[str]) -> Measured:
    """The figures of one epoch: falling losses, a score that rises and then wavers."""
    done = epoch / epochs
    recall = {c: round(min(0.97, 0.25 + 0.12 * i % 0.4 + 0.6 * done), 3) for i, c in enumerate(CLASSES)}
    score = 0.35 + 0.36 * (1 - math.exp(-3 * done)) + 0.015 * math.sin(3 * epoch)
    return Measured(
        {
            "epoch": epoch,
            "epochs": epochs,
            "phase": 1,
            "lr": 1e-3 * (1 - done),
            "train_loss": 1.6 * math.exp(-2.4 * done) + 0.1,
            "val_loss": 1.5 * math.exp(-1.6 * done) + 0.35 + 0.1 * done,
            "score": score,
            "score_name": "macro F1",
            "metrics": {"macro F1": score, "accuracy": 0.7 + 0.2 * done, "HSIL+ AUROC": 0.8 + 0.17 * done},
            "per_class_recall": recall | ({"SCC": None} if epoch < 2 else {}),
            "images_per_s": 143.2,
            "eta_s": (epochs - epoch) * 40.0,
            "worst": worst(slides),
        }
    )


def worst(slides: list[str]) -> list[dict]:
    """Six validation cells, on the slides in turn."""
    return [
        {
            "picture": f"worst/{i}.png",
            "slide": slides[i % len(slides)],
            "centre_yx": [150.5 + 60 * i, 200.5 + 50 * i],
            "truth": CLASSES[-1 - i],
            "answer": CLASSES[i % 3],
            "probability": 0.97 - 0.05 * i,
        }
        for i in range(6)
    ]


def result(out: Path, slides: list[str], cells: int = 120) -> Done:
    """The last word of a run that ended well."""
    evaluated = [
        {
            "slide": slides[i % len(slides)],
            "centre_yx": [100.5 + (37 * i) % 400, 100.5 + (53 * i) % 400],
            "truth": CLASSES[i % 6],
            "answer": CLASSES[i % 6 if i % 4 else (i + 1) % 6],
        }
        for i in range(cells)
    ]
    counts = [[sum(c["truth"] == t and c["answer"] == a for c in evaluated) for a in CLASSES] for t in CLASSES]

    def estimate(value: float) -> dict:
        return {"value": value, "low": value - 0.04, "high": value + 0.03, "n": cells}

    intervals = {"macro_f1": estimate(0.62), "accuracy": estimate(0.88)}
    metrics = {
        "classification": {"macro_f1": 0.62, "accuracy": 0.88, "intervals": intervals},
        "screening": {"recall": estimate(0.97), "specificity": estimate(0.91), "undercall": estimate(0.02)},
        "calibration": {"ece": 0.028},
    }
    return Done(
        {
            "bundle": str(out),
            "id": out.name,
            "side": "test",
            "metrics": metrics,
            "confusion": {"classes": list(CLASSES), "counts": counts},
            "cells": evaluated,
            "split_record": {"unit": "image"},
        }
    )


def write_images(folder: Path) -> None:
    """The pictures of the worst cells."""
    (folder / "worst").mkdir(parents=True, exist_ok=True)
    for i in range(6):
        noise = np.random.default_rng(i).integers(90, 250, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "worst" / f"{i}.png")


def begin(out: Path, slides: list[str], resumed: bool = False) -> RunFolder:
    """Begin a run of this process."""
    folder = RunFolder.of(out)
    requested = {"config": TrainConfig().model_dump(mode="json"), "sources": ["cric:somewhere"], "slides": slides}
    folder.begin(requested, resumed)
    write_images(folder.path)
    return folder


def record(out: Path, slides: list[str], events: list[Event]) -> RunFolder:
    """Write a run whose process has ended."""
    folder = begin(out, slides)
    for event in events:
        folder.append(event)
    process = folder.process() | {"pid": 2**22 - 7}
    (folder.path / "process.json").write_text(json.dumps(process), encoding="utf-8")
    return folder


def finished(out: Path, slides: list[str], epochs: int = 8, cells: int = 120) -> RunFolder:
    """Write a run that ended well."""
    events: list[Event] = [Noted("The picture torn.jpg cannot be read and was left out.")]
    events += [measured(e, epochs, slides) for e in range(1, epochs + 1)]
    return record(out, slides, [*events, result(out, slides, cells)])


def play(out: Path, epochs: int, seconds_an_epoch: float, resumed: bool = False) -> None:
    """Play a run in this process: advance, hear wishes, end."""
    folder = RunFolder.of(out)
    slides = folder.config().get("slides") or [str(out)]
    begin(out, slides, resumed)
    token = FolderToken(folder)
    folder.append(Noted("All cores are at work."))
    for epoch in range(1, epochs + 1):
        for step in range(10):
            folder.append(Advanced(step, 10, f"Epoch {epoch}"))
            end_s = time.monotonic() + seconds_an_epoch / 10
            while time.monotonic() < end_s or token.paused():
                if token.cancelled():
                    folder.append(Cancelled("Cancelled; the best model so far is kept."))
                    return
                if not token.paused():
                    sum(math.sqrt(i) for i in range(20_000))
        folder.append(measured(epoch, epochs, slides))
    folder.append(result(out, slides) if epochs < 100 else Failed("The loss is no number any more."))


if __name__ == "__main__":
    play(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), "--resume" in sys.argv)
