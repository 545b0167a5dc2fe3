"""Make the outline model that ships and put it into ``resources/models``.

``python scripts/make_outline_model.py CRIC_FOLDER [--work FOLDER] [--out FOLDER] [--figures FILE]``

Three steps, each kept in the work folder and not done twice: the recipe ``outline-unet`` (`napari-cyto train outline`)
makes a first model on made-up smears; with it, CRIC's nuclei, which have points and no masks, become examples where
clicks at two places of a nucleus give the same outline; the second round goes on from the first, and a quarter of
what it sees are these. CRIC_FOLDER holds CRIC's images and its table of cells. ``--figures`` is what
``benchmarks/outlining.py --json`` wrote, for the model card.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.inference.outline.outlines import SHIPPED, NetworkOutlines
from napari_cyto.jobs.events import Failed, Measured, Noted
from napari_cyto.models.bundle import Bundle, read_bundle, with_figures
from napari_cyto.synthesis.outlined_fields import OutlinedField
from napari_cyto.training.outline.agreed_nuclei import agreed_nuclei
from napari_cyto.training.outline.job import MoreFields, train_outlines
from napari_cyto.training.outline.outline_config import OutlineTrainConfig, outline_recipe

RESOURCES = Path(__file__).resolve().parents[1] / "resources" / "models"
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
FIRST = outline_recipe().model_copy(update={"weights_dtype": "fp32"})
SECOND = outline_recipe().model_copy(
    update={
        "epochs": 26,
        "rate": 1.2e-3,
        "seed": 2,
        "share": CRIC_SHARE,
        **CARD,
    }
)


def main() -> None:
    """Make the model and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cric", type=Path, metavar="CRIC_FOLDER")
    parser.add_argument("--work", type=Path, default=Path("outline-run"))
    parser.add_argument("--out", type=Path, default=RESOURCES)
    parser.add_argument("--figures", type=Path, help="What benchmarks/outlining.py --json wrote.")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    first = trained(given.work / "first-model", FIRST)
    real = real_fields(given.work / "cric", given.cric, first)
    facts = {
        "sources": "made-up smears (napari_cyto.synthesis) and every second image of CRIC",
        "rounds": 2,
        "nuclei of CRIC": sum(len(field.cells) for field in real),
        "images of CRIC": len(real),
        "script": "scripts/make_outline_model.py",
        "recipe of the first round": FIRST.model_dump(mode="json"),
    }
    made = trained(given.work / SHIPPED, SECOND, first.path, MoreFields(tuple(real), facts))
    shutil.copytree(made.path, given.out / SHIPPED, dirs_exist_ok=True)
    bundle = read_bundle(given.out / SHIPPED)
    if given.figures:
        bundle = with_figures(bundle, json.loads(given.figures.read_text(encoding="utf-8")))
    print(f"{bundle.path}: {bundle.manifest.weights_bytes / 1e6:.1f} MB, {bundle.sha256}")


def trained(
    place: Path, config: OutlineTrainConfig, parent: Path | None = None, more: MoreFields | None = None
) -> Bundle:
    """Return the model of one round, or as it was kept.

    Raises
    ------
    RuntimeError
        When the round failed; the sentence says why.
    """
    if not place.exists():
        for event in train_outlines(config, (), place, parent=parent, more=more):
            if isinstance(event, Noted):
                print(event.message, flush=True)
            elif isinstance(event, Measured):
                print(f"{place.name}: epoch {event.values['epoch']}, loss {event.values['train_loss']}", flush=True)
            elif isinstance(event, Failed):
                raise RuntimeError(f"{event.message}\n{event.traceback}")
    return read_bundle(place)


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


if __name__ == "__main__":
    main()
