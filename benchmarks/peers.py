"""Against the peers, in one run: TIAToolbox with our weights, and finding nuclei without a model.

    python -m venv peers && peers/bin/pip install ".[models,openvino]" -r benchmarks/requirements-peers.txt
    peers/bin/python benchmarks/peers.py [--slide SLIDE] [--cric ../shared/data/cric] [--detector MODEL]

1. MP/s (px of the model) from a slide to stored cells, end to end: our engine as it comes, our engine in PyTorch
   fp32, and TIAToolbox's ``NucleusDetector`` with the same network; the slide's own scale, tiles of one size, in turns.
2. Recall of CRIC's marked nuclei at as many detections a field for each, matched one to one within 6 µm: the network
   with our merging, the same network with TIAToolbox's peaks, and scikit-image's Laplacian of Gaussian and watershed.
   CRIC's labels are incomplete, so that is what can be compared. Only fields that the detector did not see count; the
   detector that ships saw them all: train one with ``napari-cyto train detector --cross-validate 3`` and give its fold.

The last line is JSON: ``vs_peer``, ``vs_peer_same_runtime`` (MP/s of ours over theirs) and ``recall`` by method.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.feature import blob_log, peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import regionprops
from skimage.segmentation import watershed

sys.path.insert(0, str(Path(__file__).parent))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RADIUS_UM = 6.0
NUCLEUS_UM = (2.5, 8.0)
"""Radii of nuclei, smallest and largest, on smears."""

CLASSICAL_UM = 0.5
A_FIELD = (10, 25, 50, 100)
Found = tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slide", type=Path, default=SHARED / "slides" / "cric_fields.mrxs")
    parser.add_argument("--mpp", type=float, help="µm per px where the slide's file does not say it")
    parser.add_argument("--cric", type=Path, default=SHARED / "cric")
    parser.add_argument("--detector", default="nucleus-detector")
    parser.add_argument("--tile", type=int, default=1024, help="side of the tiles, px of the model")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--fields", type=int, help="how many fields at most")
    options = parser.parse_args()
    figures: dict[str, Any] = {"detector": options.detector}
    figures |= speed(options)
    figures |= recall(options)
    print(json.dumps(figures))


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return the rates of the engines, and how many cells each found."""
    from _peer_engine import PeerModel, run_engine

    from napari_cyto.inference.runtimes.model_cache import LoadedModels
    from napari_cyto.models.library import bundle_named

    bundle, models = bundle_named(options.detector), LoadedModels()
    peer = PeerModel(bundle)
    area: list[float] = []

    def ours(out: Path, **how: Any) -> int:
        result = run_ours(options, out, models, how)
        area[:] = [result["megapixels"]]
        return int(result["cells"])

    engines: dict[str, Callable[[Path], int]] = {
        "ours": lambda out: ours(out),
        "ours_torch_fp32": lambda out: ours(out, runtime="torch", precision="fp32"),
        "tiatoolbox": lambda out: run_engine(peer, bundle.manifest.mpp or 1.0, options.slide, out, options.tile, 0),
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    cells: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(-1, options.turns):  # the first loads, compiles and fills caches, and does not count
            for name, engine in list(engines.items())[:: 1 if turn % 2 else -1]:
                started_s = time.perf_counter()
                cells[name] = engine(Path(folder) / f"{name}{turn}")
                if turn >= 0:
                    seconds[name].append(time.perf_counter() - started_s)
    rates = {name: area[0] / statistics.median(of) for name, of in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:16} {rate:7.2f} MP/s {cells[name]:6} cells")
    pairs = {n: [p / s for p, s in zip(seconds["tiatoolbox"], seconds[n], strict=True)] for n in engines}
    return {
        "slide": options.slide.name,
        "megapixels": area[0],
        "mp_per_s": {name: round(rate, 2) for name, rate in rates.items()},
        "cells": cells,
        "vs_peer": round(statistics.median(pairs["ours"]), 2),
        "vs_peer_same_runtime": round(statistics.median(pairs["ours_torch_fp32"]), 2),
    }


def run_ours(options: argparse.Namespace, out: Path, models: Any, how: dict[str, Any]) -> dict[str, Any]:
    """Return the result of our engine, its cells in a project."""
    from napari_cyto.inference._job import run
    from napari_cyto.inference.request import PredictRequest
    from napari_cyto.jobs.events import Done

    values = {"slide": options.slide, "detector": options.detector, "mpp": options.mpp, "tile_px": options.tile}
    *_, end = run(PredictRequest(**values, out=out.with_suffix(".cyto"), **how), models=models)
    if not isinstance(end, Done):
        raise SystemExit(str(end))
    return end.result


def recall(options: argparse.Namespace) -> dict[str, Any]:
    """Return the recall of each method, and on which fields."""
    from _image_slide import image_slide
    from _peer_engine import PeerModel

    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.inference.engine.search import CellSearch
    from napari_cyto.models.library import bundle_named

    bundle = bundle_named(options.detector)
    search, peer = CellSearch(CellDetector(bundle)), PeerModel(bundle)
    model_mpp = bundle.manifest.mpp or CLASSICAL_UM

    def ours(rgb: np.ndarray, mpp: float) -> Found:
        with image_slide(rgb) as slide:
            found = search.detect(slide, mpp)
        return found.centres_yx, found.scores

    methods: dict[str, Callable[[np.ndarray, float], Found]] = {
        "ours": ours,
        "tiatoolbox_peaks": lambda rgb, mpp: at_scale(rgb, mpp, model_mpp, peer.peaks),
        "log": lambda rgb, mpp: at_scale(rgb, mpp, CLASSICAL_UM, laplacian_of_gaussian),
        "watershed": lambda rgb, mpp: at_scale(rgb, mpp, CLASSICAL_UM, by_watershed),
    }
    fields, side = held_out(options, bundle)
    print(f"\n{len(fields)} fields of CRIC, {side}")
    hits = {name: dict.fromkeys(A_FIELD, 0) for name in methods}
    took = dict.fromkeys(methods, 0.0)
    for field in fields:
        rgb = np.asarray(Image.open(field.path).convert("RGB"))
        for name, method in methods.items():
            started_s = time.perf_counter()
            points, scores = method(rgb, field.mpp)
            took[name] += time.perf_counter() - started_s
            for n in A_FIELD:
                hits[name][n] += matched(field, points[np.argsort(-scores, kind="stable")[:n]])
    truth = sum(len(f.centres_yx) for f in fields)
    print(f"{'recall at':20}" + "".join(f"{n:>8}" for n in A_FIELD) + "  detections a field, s a field")
    for name, of in hits.items():
        print(f"{name:20}" + "".join(f"{of[n] / truth:8.3f}" for n in A_FIELD) + f"{took[name] / len(fields):28.2f}")
    shares = {name: {str(n): round(k / truth, 4) for n, k in of.items()} for name, of in hits.items()}
    return {"fields": len(fields), "nuclei": truth, "fields_are": side, "radius_um": RADIUS_UM, "recall": shares}


def held_out(options: argparse.Namespace, bundle: Any) -> tuple[list[Any], str]:
    """Return the fields that the detector did not see, or all where it saw all, and in words which they are."""
    from napari_cyto.datasets.training.training_set import read_training_set
    from napari_cyto.evaluation.training_overlap import SEEN_IN_TRAINING, recorded_sets, side_of

    slides = [s for s in read_training_set([f"cric:{options.cric}"]).slides if len(s.centres_yx)]
    recorded = recorded_sets(bundle.manifest.card.model_dump(mode="json").get("split") or {})
    unseen = [s for s in slides if side_of(s, recorded) not in SEEN_IN_TRAINING]
    if recorded and unseen:
        return unseen[: options.fields], "which the detector did not see in its training"
    return slides[
        : options.fields
    ], "WHICH THE DETECTOR WAS TRAINED ON: its recall is flattered; give a fold's detector"


def matched(field: Any, points: np.ndarray) -> int:
    """Return how many of a field's nuclei are found."""
    from napari_cyto.evaluation.matching import match_points

    return int(match_points(field.centres_yx, points, RADIUS_UM / field.mpp).tp)


def at_scale(rgb: np.ndarray, mpp: float, parser: float, method: Callable[[np.ndarray], Found]) -> Found:
    """Return what a method finds on a picture at another scale, px of the picture."""
    factor = parser / mpp
    size = (round(rgb.shape[1] / factor), round(rgb.shape[0] / factor))
    points, scores = method(np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)))
    return points * (rgb.shape[0] / size[1], rgb.shape[1] / size[0]), scores


def laplacian_of_gaussian(rgb: np.ndarray) -> Found:
    """Return dark blobs of the size of nuclei, the roundest and darkest first.

    Source: Lindeberg 1998, "Feature detection with automatic scale selection", as scikit-image's ``blob_log`` does it.
    """
    dark = darkness(rgb)
    sigmas = [radius / CLASSICAL_UM / np.sqrt(2) for radius in NUCLEUS_UM]
    blobs = blob_log(dark, min_sigma=sigmas[0], max_sigma=sigmas[1], num_sigma=6, threshold=0.005, overlap=0.3)
    rows, columns = blobs[:, :2].astype(int).T
    scores = np.zeros(len(blobs))
    for sigma in np.unique(blobs[:, 2]):
        response = -(sigma**2) * ndimage.gaussian_laplace(dark, sigma)
        of = blobs[:, 2] == sigma
        scores[of] = response[rows[of], columns[of]]
    return blobs[:, :2] + 0.5, scores


def by_watershed(rgb: np.ndarray) -> Found:
    """Return dark parts, split where they narrow, of the size of nuclei; the darkest first.

    Source: Malpica et al. 1997, "Applying watershed algorithms to the segmentation of clustered nuclei": Otsu's
    threshold, distance to the edge, a watershed from its peaks.
    """
    dark = ndimage.gaussian_filter(darkness(rgb), 1.0)
    mask = ndimage.binary_opening(dark > threshold_otsu(dark), iterations=2)
    deep = ndimage.distance_transform_edt(mask)
    peaks = peak_local_max(deep, min_distance=round(NUCLEUS_UM[0] / CLASSICAL_UM), labels=ndimage.label(mask)[0])
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = regionprops(watershed(-deep, seeds, mask=mask), intensity_image=dark)
    smallest, largest = (np.pi * (radius / CLASSICAL_UM) ** 2 for radius in NUCLEUS_UM)
    kept = [part for part in parts if smallest / 2 <= part.area <= 2 * largest]
    points = np.array([part.centroid for part in kept]).reshape(-1, 2)
    return points + 0.5, np.array([part.mean_intensity for part in kept])


def darkness(rgb: np.ndarray) -> np.ndarray:
    """Return how much haematoxylin there is, 0 to about 1 (Ruifrok and Johnston 2001)."""
    stain: np.ndarray = rgb2hed(rgb)[..., 0]
    return (stain - stain.min()) / max(float(np.ptp(stain)), 1e-6)


if __name__ == "__main__":
    main()
