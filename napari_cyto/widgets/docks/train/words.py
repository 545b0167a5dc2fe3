"""What training says, in words for a window: settings and sentences that were written for the command line, too."""

from __future__ import annotations

import re

from napari_cyto.widgets.docks import parts

# What to type is of no use in a window, where a box, a field or a list stands for it.
_REWRITTEN = (
    (r"the override '[a-z-]+' \(--set [^)]*\)", "the box below"),
    (r" with --set split\.published=false", ' by unticking the published sets under "Split"'),
    (r"\(a test share of 0: --set [^)]*\)", '(a test share of 0 under "Split")'),
    (r"; state them after the source, as in images:DIR@0\.25(?:, or have it estimated with --scale-by-nuclei)?", ""),
    (r" ?\((?:[^()]*: )?--set [^)]*\)", ""),
    (r"\bfp32\b", "32-bit numbers"),
    (r"\b(?:bf16|fp16)\b", "16-bit numbers"),
)
# How values of settings are called; by field where the same word means different things.
VALUE_WORDS = {
    "natural": "as in the data",
    "sqrt": "rare classes more often",
    "balanced": "all equally often",
    "class_weights.sqrt": "rare classes somewhat more",
    "class_weights.inverse": "all classes alike",
    "class_weights.none": "all cells alike",
    "relevance.none": "by chance",
    "relevance.cells": "most likely to hold cells",
    "cls": "class token",
    "patches": "mean of the patches",
    "both": "both joined",
    "um": "µm",
    "by.auto": "patient, else smear, else image",
    "devices.auto": "automatic",
    "auto": "automatic",
    "quarter": "by quarter turns",
    "any": "by any angle",
    "head": "the new head alone",
    "top": "head and last stage",
    "all": "the whole network",
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "SGD",
    "cosine": "falls along a cosine",
    "plateau": "falls when nothing improves",
    "macro-f1": "macro F1",
    "macro-auroc": "macro AUROC",
    "four-class-f1": "F1 of four classes",
    "fp32": "32-bit numbers",
    "bf16": "16-bit numbers (bfloat16)",
    "fp16": "16-bit numbers",
    "p2p": "P2P: points",
    "fcrn": "FCRN: density",
    "faster-rcnn": "Faster R-CNN: boxes",
    "retinanet": "RetinaNet: boxes",
}
TITLES = {
    "sampling": "Sampling of classes",
    "ordinal_weight": "Weight of serious mistakes",
    "windows": "Context around a cell",
    "unit": "Unit",
    "size_px": "Input size, px",
    "epochs": "Epochs",
    "batch": "Batch size, images",
    "max_per_cell": "Detections per labelled cell",
}


def plain(sentence: str) -> str:
    """Return a sentence of the training without what only the command line can follow."""
    for pattern, words in _REWRITTEN:
        sentence = re.sub(pattern, words, sentence)
    return sentence


def value_words(field: str, value: object) -> str:
    """Return how a value of a setting is called, or nothing where its own word will do."""
    return VALUE_WORDS.get(f"{field}.{value}", VALUE_WORDS.get(str(value), ""))


def working_words(message: str, quiet_s: float) -> str:
    """Return what is being done, and for how long nothing has been heard of it.

    Parameters
    ----------
    message : str
        What was said last.
    quiet_s : float
        How long ago, s.
    """
    if quiet_s < QUIET_FROM_S or not message:
        return message
    return f"{message.rstrip('.…')}, for {time_words(quiet_s)} so far; still running."


# From when on silence is explained: sooner than anybody takes it for a standstill.
QUIET_FROM_S = 5.0


def time_words(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{parts.number(round(seconds / 3600))} h" if seconds > 36_000 else f"{seconds / 3600:.1f} h"
