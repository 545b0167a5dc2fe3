"""Guards the verb ``measure`` on a real project: what is measured, marked, left out and counted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import CellOutline, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project


def _ring(y: float, x: float, radius: float):
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return tuple(zip((y + radius * np.sin(angles)).tolist(), (x + radius * np.cos(angles)).tolist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two slides, one without µm per px: 22 NILM nuclei of 3 µm, an LSIL of 6 µm with its cytoplasm, and others."""
    rng = np.random.default_rng(0)
    field = np.full((600, 600, 3), 235, np.uint8)
    rows, columns = np.mgrid[:600, :600]
    places = [(60 + 90 * (n // 6), 60 + 90 * (n % 6)) for n in range(25)]
    for y, x in places:
        field[np.hypot(rows - y, columns - x) < (24 if (y, x) == places[22] else 12)] = 90
    field = np.clip(field + rng.normal(0, 6, field.shape), 0, 255).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(field).save(tmp_path / name)
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        records = [
            SlideRecord(name=name, path=str(tmp_path / f"{name}.png"), size_hw=(600, 600), mpp=mpp)
            for name, mpp in (("a", 0.25), ("b", None))
        ]
        project.add_slides(records)
        a, b = (slide.id for slide in project.slides())
        cells = [Annotation(slide_id=a, geometry=CellOutline(_ring(y, x, 12)), class_id="NILM") for y, x in places[:22]]
        y, x = places[22]
        outline = CellOutline(_ring(y, x, 24), _ring(y, x, 48), accepted=False)
        cells += [
            Annotation(slide_id=a, geometry=outline, class_id="LSIL", status=Status.UNREVIEWED),
            Annotation(slide_id=a, geometry=Point(*places[23]), class_id="NILM"),
            Annotation(slide_id=a, geometry=Polygon(_ring(*places[24], 12)), class_id="NILM"),
            Annotation(
                slide_id=a, geometry=CellOutline(_ring(*places[24], 12)), class_id="HSIL", status=Status.REJECTED
            ),
            Annotation(slide_id=b, geometry=CellOutline(_ring(*places[0], 12)), class_id="NILM"),
        ]
        project.apply(add(cells, "Draw"), "Ana")
    return tmp_path / "p.cyto"


def test_cells_are_measured_marked_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder.parent / "cells.csv"
    assert run(["measure", str(folder), "--out", str(table), "--json"]) == 2
    out, err = capsys.readouterr()
    assert "1 slide left out with 1 outlined cells; the first: b: The µm per px of b are unknown" in err
    found = json.loads(out)
    assert (found["cells"], found["without_outline"], found["outlines_of_unknown_kind"]) == (23, 1, 1)
    lsil, nilm = found["classes"]
    assert lsil["median_nucleus_area_um2"] == pytest.approx(np.pi * 36, rel=0.02)
    assert lsil["median_multiple_of_intermediate"] == pytest.approx(4.0, rel=0.03)
    assert lsil["median_nc_ratio"] == pytest.approx(0.25, rel=0.03)
    assert (lsil["outline_not_accepted"], nilm["outline_not_accepted"]) == (1, 0)
    assert found["slides"][0]["intermediate_nucleus"]["nuclei"] == 22
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 23
    marked = [row for row in rows if row["outline_accepted"] == "no"]
    assert [(row["class"], row["status"]) for row in marked] == [("LSIL", "proposed")]
    assert float(marked[0]["nuclei_in_cytoplasm"]) == 1


def test_outlines_of_unknown_kind_are_nuclei_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["measure", str(folder), "--plain-outlines", "nucleus", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["cells"], found["outlines_of_unknown_kind"]) == (24, 0)
