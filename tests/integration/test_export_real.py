"""Promise: real slides and CRIC go in, an APACC dataset comes out, and reading it gives back the same cells."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
from PIL import Image

from napari_cyto.datasets import (
    ApaccExportOptions,
    ImageExportOptions,
    ImportOptions,
    export,
    export_apacc,
    import_labels,
)
from napari_cyto.datasets.audit.job import audit
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats.apacc.names import parse_stem
from napari_cyto.jobs.events import Done, Event
from napari_cyto.store import Project

pytestmark = pytest.mark.shared


def done(events: list[Event]) -> Any:
    assert isinstance(events[-1], Done), events[-1]
    return events[-1].result


def test_all_of_cric_becomes_a_project(shared: Path, tmp_path: Path) -> None:
    result = done(list(import_labels("cric", shared / "cric", tmp_path / "cric.cyto")))
    assert (result.slides_added, result.annotations_added) == (175, 4274)  # two nuclei are in the table twice
    rows = cric_rows(shared)
    with Project.open(tmp_path / "cric.cyto") as project:
        assert project.counts() == Counter(c for *_, c in {(r["image"], r["x"], r["y"], r["bethesda"]) for r in rows})
        scale = {row["image"]: float(row["px_per_cric_px"]) for row in rows}
        assert all(s.mpp == pytest.approx(0.228 / scale[s.name]) for s in project.slides())


def cric_rows(shared: Path) -> list[dict[str, str]]:
    with (shared / "cric/cells.csv").open() as file:
        return list(csv.DictReader(file))


def test_cric_through_a_project_to_apacc_and_back(shared: Path, tmp_path: Path) -> None:
    rows = cric_rows(shared)
    some = sorted({row["image"] for row in rows})[::9]
    with (tmp_path / "cells.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["image"] in some)
    options = ImportOptions(images=shared / "cric/images")
    done(list(import_labels("cric", tmp_path / "cells.csv", tmp_path / "cric.cyto", options)))
    with Project.open(tmp_path / "cric.cyto") as project:
        points = {s.id: [a.geometry.centre_yx for a in project.annotations(s.id)] for s in project.slides()}
        names = {s.id: Path(s.name).stem for s in project.slides()}
    out = tmp_path / "apacc"
    result = done(list(export_apacc(tmp_path / "cric.cyto", out, ApaccExportOptions(overview=False, crops=False))))
    assert result.cells == sum(map(len, points.values()))
    assert audit(out).ok
    done(list(import_labels("apacc", out, tmp_path / "again.cyto")))
    with Project.open(tmp_path / "again.cyto") as project:
        assert len(project.slides()) == len(some)
        boxes = {s.smear: [a.geometry for a in project.annotations(s.id)] for s in project.slides()}
    for slide_id, centres in points.items():
        found = boxes[names[slide_id]]
        assert len(found) == len(centres)
        assert all(any(_holds(box, y, x) for box in found) for y, x in centres)


def _holds(box: object, y: float, x: float) -> bool:
    assert isinstance(box, Box)
    whole = all(v == int(v) for v in box.bounds_yxyx)
    return whole and box.y0 <= y <= box.y1 and box.x0 <= x <= box.x1


def test_a_whole_slide_is_cut_where_its_cells_are(shared: Path, tmp_path: Path) -> None:
    with (shared / "slides/cric_fields.cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = tmp_path / "points.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("x", "y", "label"), *((r["x"], r["y"], r["bethesda"]) for r in rows)])
    options = ImportOptions(slide=shared / "slides/cric_fields.mrxs")
    done(list(import_labels("csv", table, tmp_path / "mrxs.cyto", options)))
    with Project.open(tmp_path / "mrxs.cyto") as project:
        [slide] = project.slides()
        assert slide.size_hw is not None
    chosen = ApaccExportOptions(all_to_train=True, overview=False, crops=False, point_px=120)
    done(list(export_apacc(tmp_path / "mrxs.cyto", tmp_path / "out", chosen)))
    expected = Counter((int(float(r["y"])) // 2000 * 2000, int(float(r["x"])) // 2000 * 2000) for r in rows)
    written = {}
    for path in (tmp_path / "out/slices/train").glob("*.txt"):
        name = parse_stem(path.stem)
        written[(name.y0, name.x0)] = len(path.read_text().splitlines())
    assert written == expected


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "cric_fields.mrxs"])
def test_tiles_of_a_scan_show_the_pixels_that_their_rows_name(shared: Path, tmp_path: Path, name: str) -> None:
    """Against OpenSlide itself, at full resolution; MRXS has an origin of its own."""
    path = shared / "slides" / name
    with openslide.OpenSlide(path) as scan, Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        width, height = scan.dimensions
        slide = SlideRecord(name=name, path=str(path), size_hw=(height, width))
        project.add_slides([slide])
        places = [(height * part, width * part) for part in (0.3, 0.5, 0.9)]
        cells = [Annotation(slide_id=slide.id, geometry=Box.around(yx, 50, 60), class_id="HSIL") for yx in places]
        cells.append(
            Annotation(slide_id=slide.id, geometry=Box(height - 40, width - 50, height, width), class_id="LSIL")
        )
        project.apply(add(cells, "mark"), "me")
        options = ImageExportOptions(images="tiles", tile_unit="px", tile_px=250, twins=False)
        result = done(list(export("yolo", tmp_path / "p.cyto", tmp_path / "out", options)))
        assert result.cells["train"] == 4
        with (tmp_path / "out" / "images.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            y0, x0 = int(row["y0"]), int(row["x0"])
            shown = (250 - int(row["padding_right"]), 250 - int(row["padding_bottom"]))
            expected = Image.new("RGB", shown, (255, 255, 255))
            part = scan.read_region((x0, y0), 0, shown)
            expected.paste(part, mask=part)
            with Image.open(tmp_path / "out" / "images" / "train" / row["image"]) as tile:
                whole = np.asarray(tile.convert("RGB")).astype(int)
            assert whole.shape == (250, 250, 3)
            difference = np.abs(whole[: shown[1], : shown[0]] - np.asarray(expected))
            assert difference.mean() < 1, row
    assert any(row["padding_right"] != "0" or row["padding_bottom"] != "0" for row in rows)
