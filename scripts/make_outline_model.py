"""Make the outline model that ships and put it into ``resources/models``.

``python scripts/make_outline_model.py CRIC_FOLDER [--work FOLDER] [--out FOLDER] [--figures FILE]``

Three steps, each kept in the work folder and not done twice: fields of made-up smears with exact masks; a first
network on these; then CRIC's nuclei, which have points and no masks: where clicks at two places of a nucleus give the
same outline, it becomes an example for the second round, a quarter of what is seen there. CRIC_FOLDER holds CRIC's
images and its table of cells. ``--figures`` is what ``benchmarks/outlining.py --json`` wrote, for the model card.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_cyto.inference.outline.outlines import SHIPPED, NetworkOutlines
from napari_cyto.models.bundle import Bundle, read_bundle, with_figures, write_bundle
from napari_cyto.models.registry import build
from napari_cyto.synthesis.outlined_fields import OutlinedField, make_field
from napari_cyto.training.outline.agreed_nuclei import agreed_nuclei
from napari_cyto.training.outline.fit import Draw, FitSettings, fit
from napari_cyto.training.outline.samples import OutlineSamples

RESOURCES = Path(__file__).resolve().parents[1] / "resources" / "models"
SIDE_PX = 96
WIDTHS = (16, 32, 64, 96, 128)
FIELDS, FIELD_PX = 100, 2048
FIELD_MPP = (0.25, 0.25, 0.2, 0.3)
FIELD_VARIETY = (1.0, 0.5, 1.0, 0.0)
FIRST = FitSettings(steps=1800, rate=2e-3, seed=1)
SECOND = FitSettings(steps=2600, rate=1.2e-3, seed=2)
CRIC_SHARE, CRIC_MPP, CRIC_NORMAL_CELLS = 0.25, 0.228, 14
CARD = {
    "summary": "Outlines the nucleus under a click, and its cell: a U-Net of 0.9 million weights on crops of 96 px.",
    "licence": "CC BY 4.0",
    "attribution": "Cells of CRIC Cervix had a part in it: Rezende MT et al., Cric searchable image database as a "
    "public platform for conventional Pap smear cytology data, Scientific Data 8, 151 (2021), doi "
    "10.1038/s41597-021-00933-8 (CC BY 4.0).",
    "intended_use": "The Outline tool, `napari-cyto outline` and measurements on Papanicolaou-stained cells in colour "
    "or grey; a person looks at each outline that is measured.",
    "limits": "For research use only; not for diagnosis without review. Its masks were made up or its own, never a "
    "person's. Two nuclei that touch may become one or be cut elsewhere than a person would; a border of cytoplasm "
    "under other cells is a guess; where the µm per px are unknown it looks for the size first and errs more often.",
}


def main() -> None:
    """Make the model and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cric", type=Path, metavar="CRIC_FOLDER")
    parser.add_argument("--work", type=Path, default=Path("outline-run"))
    parser.add_argument("--out", type=Path, default=RESOURCES)
    parser.add_argument("--figures", type=Path, help="What benchmarks/outlining.py --json wrote.")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    made_up = OutlineSamples(made_fields(given.work / "fields"), SIDE_PX)
    first = trained(given.work / "first.pt", made_up.draw, FIRST)
    bundle = written(given.work / "first-model", first, {"rounds": 1})
    real = OutlineSamples(real_fields(given.work / "cric", given.cric, bundle), SIDE_PX)

    def both(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (real if rng.random() < CRIC_SHARE else made_up).draw(rng)

    second = trained(given.work / "second.pt", both, SECOND, first)
    facts = {"rounds": 2, "made-up nuclei": len(made_up.places), "nuclei of CRIC": len(real.places)}
    bundle = written(given.out / SHIPPED, second, facts)
    if given.figures:
        bundle = with_figures(bundle, json.loads(given.figures.read_text(encoding="utf-8")))
    print(f"{bundle.path}: {bundle.manifest.weights_bytes / 1e6:.1f} MB, {bundle.sha256}")


def made_fields(folder: Path) -> list[OutlinedField]:
    """Return the made-up fields to learn on."""
    folder.mkdir(exist_ok=True)
    for seed in range(FIELDS):
        place = folder / f"{seed:05d}.npz"
        if not place.exists():
            variety = FIELD_VARIETY[seed % 4 if seed % 3 else 0]
            make_field(seed, FIELD_PX, FIELD_MPP[seed % 4], variety).save(place)
    return [OutlinedField.load(folder / f"{seed:05d}.npz") for seed in range(FIELDS)]


def real_fields(folder: Path, cric: Path, bundle: Bundle) -> list[OutlinedField]:
    """Return every second image of CRIC with the nuclei on which the model agrees with itself."""
    if not folder.exists():
        folder.mkdir()
        method = NetworkOutlines(bundle)
        cells = defaultdict(list)
        with (cric / "cells.csv").open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                cells[row["image"]].append(row)
        for number, (name, rows) in list(enumerate(sorted(cells.items())))[::2]:
            mpp = CRIC_MPP / float(rows[0]["px_per_cric_px"])
            abnormal = [row for row in rows if row["bethesda"] != "NILM"]
            normal = [row for row in rows if row["bethesda"] == "NILM"][:CRIC_NORMAL_CELLS]
            clicks = [(float(row["y"]), float(row["x"])) for row in (*abnormal, *normal)]
            rgb = np.asarray(Image.open(cric / "images" / name).convert("RGB"))
            agreed_nuclei(rgb, mpp, clicks, method, number).save(folder / f"{number:05d}.npz")
    return [OutlinedField.load(place) for place in sorted(folder.glob("*.npz"))]


def trained(place: Path, draw: Draw, settings: FitSettings, before: torch.nn.Module | None = None) -> torch.nn.Module:
    """Return a network after one round, or as it was kept."""
    network = build("outline-unet", {"widths": WIDTHS}, 0)
    if before is not None:
        network.load_state_dict(before.state_dict())
    if place.exists():
        network.load_state_dict(torch.load(place, weights_only=True))
    else:
        for progress in fit(network, draw, settings):
            print(f"{place.stem}: step {progress.step}, loss {progress.loss:.3f}", flush=True)
        torch.save(network.state_dict(), place)
    return network.eval()


def written(place: Path, network: torch.nn.Module, facts: dict[str, int]) -> Bundle:
    """Write the bundle."""
    fields = {
        "kind": "outline",
        "architecture": "outline-unet",
        "settings": {"widths": list(WIDTHS)},
        "classes": (),
        "mpp": None,
        "input_px": SIDE_PX,
        "card": {
            **CARD,
            "data": {"sources": "made-up smears (napari_cyto.synthesis) and every second image of CRIC", **facts},
            "recipe": {
                "script": "scripts/make_outline_model.py",
                "first": {name: getattr(FIRST, name) for name in FIRST.__slots__},
                "second": {name: getattr(SECOND, name) for name in SECOND.__slots__},
                "share of CRIC in the second round": CRIC_SHARE,
            },
        },
    }
    write_bundle(place, fields, network.state_dict(), "fp16")
    return read_bundle(place)


if __name__ == "__main__":
    main()
