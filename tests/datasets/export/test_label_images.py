"""Promise: a label image holds each outline's own pixels, its table whose they are, and what is hidden is counted."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from verb_calls import printed, refusal

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import CellOutline, Geometry, Point, pixels_in_outline
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

SIZE_HW = (2500, 300)


def ring(y: float, x: float, radius: float) -> tuple[tuple[float, float], ...]:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return tuple((y + radius * float(np.sin(a)), x + radius * float(np.cos(a))) for a in turns)


NUCLEI = [ring(50.5, 60.5, 20), ring(50.5, 80.5, 20), ring(1999.0, 100.0, 15)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        slide = SlideRecord(name="a.svs", path=str(tmp_path / "a.svs"), size_hw=SIZE_HW, mpp=0.25)
        big = SlideRecord(name="b.svs", path=str(tmp_path / "b.svs"), size_hw=(100_000, 100_000))
        project.add_slides([slide, big])
        shapes: list[Geometry] = [CellOutline(NUCLEI[0], ring(50.5, 60.5, 40)), CellOutline(NUCLEI[1], accepted=False)]
        shapes += [CellOutline(NUCLEI[2]), Point(9.0, 9.0), CellOutline(ring(90.0, 90.0, 5))]
        cells = [Annotation(slide_id=slide.id, geometry=shape, class_id="HSIL", note=str(shape)) for shape in shapes]
        cells[4] = replace(cells[4], status=Status.REJECTED)
        far = Annotation(slide_id=big.id, geometry=CellOutline(ring(9000.0, 9000.0, 9)), class_id="LSIL")
        project.apply(add([*cells, far], "mark"), "me")
    return tmp_path / "p.cyto"


def test_each_label_is_its_cell_and_what_others_hide_is_counted(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "label-images", str(place), str(tmp_path / "out"), "--slide", "a.svs"]
    said = printed([*words, "--json"], capsys)
    counts = ("images", "labels", "without_outline", "rejected", "overlapping", "hidden")
    assert [said[name] for name in counts] == [1, 3, 1, 1, 1, 0]
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    assert (labels.dtype, labels.shape) == (np.uint16, SIZE_HW)
    rows = list(csv.DictReader((tmp_path / "out" / "a.csv").read_text(encoding="utf-8").splitlines()))
    with Project.open(place) as project:
        for row in rows:
            [cell] = project.annotations_by_id([row["annotation"]])
            assert isinstance(cell.geometry, CellOutline)
            truth = pixels_in_outline(cell.geometry.vertices_yx, (0, 0), SIZE_HW)
            mine = labels == int(row["label"])
            assert not (mine & ~truth).any()
            assert (mine.sum(), truth.sum() - mine.sum()) == (int(row["pixels"]), int(row["pixels_hidden"]))
            assert row["outline_accepted"] == ("yes" if cell.geometry.accepted else "no")
    assert sum(int(row["pixels_hidden"]) > 0 for row in rows) == 1
    part = [*words, "--region", "40,0,100,60", "--ring", "cell", "--json"]
    said = printed(part, capsys)
    assert (said["labels"], said["without_outline"]) == (1, 1)
    assert tifffile.imread(tmp_path / "out" / "a_40_0.tif").shape == (60, 100)


def test_slices_have_names_and_sizes_of_apacc_and_a_slide_may_be_too_large_for_one_image(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "label-images", str(place), str(tmp_path / "out")]
    assert "100000 x 100000 px, too large for one label image" in refusal(words, capsys)
    assert not (tmp_path / "out").exists()
    said = printed([*words, "--pieces", "slices", "--accepted-only", "--json"], capsys)
    assert (said["images"], said["labels"], said["not_accepted"]) == (3, 4, 1)
    names = {"a_0_0", "a_0_2000", "b_8000_8000"}
    assert (
        {p.stem for p in (tmp_path / "out").glob("*.png")}
        == {p.stem for p in (tmp_path / "out").glob("*.csv")}
        == names
    )
    above, below = (np.asarray(Image.open(tmp_path / "out" / f"a_0_{y}.png")) for y in (0, 2000))
    assert above.shape == below.shape == (2000, 2000)
    truth = pixels_in_outline(NUCLEI[2], (0, 0), (4000, 300))
    assert np.array_equal(np.vstack([above == above[1990, 100], below > 0])[:, :300], truth)
