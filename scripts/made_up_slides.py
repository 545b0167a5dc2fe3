"""Make a project of 24 synthetic smears of which half hold 0.75 to 5 % HSIL cells, each with its interpretation.

``python scripts/made_up_slides.py PROJECT`` makes the smears, reads their interpretations from a table, and computes
the vectors of their cells by the encoder that ships, all by the verbs of the command line.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from napari_cyto.cli.entry import run
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.presets import preset
from napari_cyto.store import Project
from napari_cyto.synthesis import SmearSpec, obtain_smear

SIDE_PX = 3000
NILM_MM2 = 800.0
SHARES = (0.0075, 0.01, 0.02, 0.03, 0.04, 0.05)
"""Of the cells; 0.75 % are the three cells that a smear has of a class at least."""


def specs() -> dict[str, SmearSpec]:
    """Return the smears by name: after each negative one a positive one."""
    made = {}
    for number in range(24):
        share = SHARES[number // 2 % len(SHARES)] if number % 2 else 0.0
        cells = {"NILM": NILM_MM2} | ({"HSIL": NILM_MM2 * share / (1 - share)} if share else {})
        made[f"smear_{number + 1:02}"] = SmearSpec((SIDE_PX, SIDE_PX), 700 + number, cells_mm2=cells)
    return made


def make(folder: Path) -> None:
    """Make the project, or leave one that is there as it is."""
    if Project.is_project(folder):
        return
    rows = []
    with Project.create(folder, preset("bethesda"), folder.stem) as project:
        for name, spec in specs().items():
            smear = obtain_smear(spec, name)
            cells = [a for a in smear.truth.annotations if a.class_id in ("NILM", "HSIL")]
            project.add_slides([smear.record])
            project.apply(edits.add([replace(a, status=Status.ACCEPTED) for a in cells], "Read"), "Reader")
            severe = sum(a.class_id == "HSIL" for a in cells)
            rows.append((smear.record.name, "HSIL" if severe else "NILM"))
            print(f"{name}: {len(cells)} cells, {severe} HSIL", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "interpretations.csv"
        with table.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("slide", "interpretation"), *rows])
        assert run(["slides", str(folder), "--interpretations", str(table)]) == 0
    assert run(["embed", str(folder)]) == 0


if __name__ == "__main__":
    make(Path(sys.argv[1]))
