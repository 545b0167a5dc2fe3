"""Promise: the tables that napari and QuPath save are read as the cells that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets import ImportOptions
from napari_cyto.datasets.import_.label_source import read_source
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import ScaleUnknownError
from napari_cyto.formats import get_format
from napari_cyto.formats.format_guess import format_of


def table(tmp_path: Path, text: str, **options: Any) -> LabelSet:
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    assert format_of(path) == "csv"
    return get_format("csv").read(path, **options)


def cells(labels: LabelSet) -> list[tuple[Any, str | None]]:
    return [(a.geometry, a.class_id) for a in labels.annotations]


def test_napari_points(tmp_path: Path) -> None:
    """napari's 0, 0 is the middle of the first pixel: https://napari.org/stable/howtos/layers/points.html."""
    labels = table(tmp_path, "index,axis-0,axis-1\n0.0,120.5,100.5\n1.0,50,60\n")
    assert cells(labels) == [(Point(121, 101), "unclassified"), (Point(50.5, 60.5), "unclassified")]
    assert [s.name for s in labels.slides] == ["a"]
    assert "2 shapes without a class read as unclassified." in labels.remarks[0]
    assert cells(table(tmp_path, "index,axis-0,axis-1,class\n0,1,2,HSIL\n")) == [(Point(1.5, 2.5), "HSIL")]


def test_napari_planes_other_than_the_first_are_left_out(tmp_path: Path) -> None:
    labels = table(tmp_path, "index,axis-0,axis-1,axis-2,label\n0,3,1,2,HSIL\n1,3,5,6,HSIL\n2,7,1,2,HSIL\n")
    assert [g for g, _ in cells(labels)] == [Point(1.5, 2.5), Point(5.5, 6.5)]
    assert labels.remarks == ("a.csv: 1 shape on other planes than the first left out.",)


def test_napari_shapes(tmp_path: Path) -> None:
    rows = ["index,shape-type,vertex-index,axis-0,axis-1"]
    for number, (kind, corners) in enumerate(
        [
            ("rectangle", [(0, 0), (0, 10), (4, 10), (4, 0)]),
            ("rectangle", [(10, 5), (15, 10), (10, 15), (5, 10)]),
            ("ellipse", [(0, 0), (0, 10), (4, 10), (4, 0)]),
            ("polygon", [(0, 0), (0, 9), (8, 9)]),
            ("path", [(0, 0), (0, 9), (8, 9)]),
        ]
    ):
        rows += [f"{number}.0,{kind},{place}.0,{y},{x}" for place, (y, x) in enumerate(corners)]
    labels = table(tmp_path, "\n".join(rows) + "\n")
    box, turned, ellipse, outline = (g for g, _ in cells(labels))
    assert box == Box(0.5, 0.5, 4.5, 10.5)
    assert turned == Polygon(((10.5, 5.5), (15.5, 10.5), (10.5, 15.5), (5.5, 10.5)))
    assert ellipse.bounds_yxyx == pytest.approx((0.5, 0.5, 4.5, 10.5))
    assert outline == Polygon(((0.5, 0.5), (0.5, 9.5), (8.5, 9.5)))
    assert "1 line left out" in labels.remarks[1]


QUPATH = """Image\tObject ID\tObject type\tName\tClassification\tParent\tROI\tCentroid X µm\tCentroid Y µm\tNum points
a.png\t\tImage\ta.png\t\t\t\t\t\t
a.png\t0b3c1d5e-8a4b-4f7a-9a55-6c1a0f3f2d11\tDetection\tHSIL\tHSIL\tRoot object\tPolygon\t25.0\t30.0\t
a.png\t\tDetection\t\t\tRoot object\tPolygon\t2.5\t3.0\t
a.png\t\tAnnotation\tfirst\tLSIL\tRoot object\tPoints\t1.0\t2.0\t1
a.png\t\tAnnotation\t\tLSIL\tRoot object\tPoints\t9.0\t9.0\t4
a.png\t\tAnnotation\tAnnotation\t\tRoot object\tRectangle\t9.0\t9.0\t
a.png\t\tAnnotation\t\tIgnore*\tRoot object\tPolygon\t9.0\t9.0\t
a.png\t\tTile\t\t\tRoot object\tRectangle\t9.0\t9.0\t
a.png\t\tAnnotation\t\tLSIL\tRoot object\tLine\t9.0\t9.0\t
"""


class TestQuPath:
    def test_centroids_in_um(self, tmp_path: Path) -> None:
        labels = table(tmp_path, QUPATH, mpp=0.25)
        assert cells(labels) == [(Point(120, 100), "HSIL"), (Point(12, 10), "unclassified"), (Point(8, 4), "LSIL")]
        assert labels.annotations[0].id == "0b3c1d5e8a4b4f7a9a556c1a0f3f2d11"
        assert [a.note for a in labels.annotations] == ["", "", "first"]

    @pytest.mark.parametrize(
        "sentence",
        [
            "1 image left out",
            "1 tile left out",
            "1 line left out",
            "1 set of several points left out",
            "1 region left out, since the table has only its centre",
            "1 object of QuPath's classes Ignore* and Region* left out",
            "1 object without a class read as unclassified",
        ],
    )
    def test_all_that_is_no_cell_is_counted(self, sentence: str, tmp_path: Path) -> None:
        assert sentence in "\n".join(table(tmp_path, QUPATH, mpp=0.25).remarks)

    def test_without_a_scale_it_is_requested(self, tmp_path: Path) -> None:
        with pytest.raises(ScaleUnknownError, match=r"'a\.png' is unknown; give it with --mpp"):
            table(tmp_path, QUPATH)

    def test_px_need_no_scale(self, tmp_path: Path) -> None:
        text = "Image,Name,Class,Parent,ROI,Centroid X px,Centroid Y px\na.png,HSIL,HSIL,Image,Point,100.0,120.0\n"
        assert cells(table(tmp_path, text)) == [(Point(120, 100), "HSIL")]

    @pytest.mark.parametrize("unit", ["µm", "μm", "Âµm", "Î¼m", "um", "\ufffdm"])
    def test_however_micro_was_saved(self, unit: str, tmp_path: Path) -> None:
        text = f"Image;Class;Centroid X {unit};Centroid Y {unit}\na.png;HSIL;2,5;5,0\n"
        assert cells(table(tmp_path, text, mpp=0.5)) == [(Point(10, 5), "HSIL")]

    def test_the_scale_of_an_import_is_used(self, tmp_path: Path) -> None:
        Image.fromarray(np.zeros((200, 300, 3), np.uint8)).save(tmp_path / "a.png")
        (tmp_path / "a.csv").write_text(QUPATH, encoding="utf-8")
        for options in (ImportOptions(mpp=0.25), ImportOptions(mpp=0.25, slide=tmp_path / "a.png")):
            labels = read_source("csv", tmp_path / "a.csv", options)
            assert labels.annotations[0].geometry == Point(120, 100)

    @given(
        st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=5),
        st.floats(0.05, 20).map(lambda v: round(v, 4)),
    )
    def test_um_divided_by_um_per_px_are_px(
        self, tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, float]], mpp: float
    ) -> None:
        rows = "".join(f"a.png,HSIL,{x!r},{y!r}\n" for y, x in places)
        path = tmp_path_factory.getbasetemp() / "um.csv"
        path.write_text(f"Image,Class,Centroid X µm,Centroid Y µm\n{rows}", encoding="utf-8")
        read = [a.geometry.centre_yx for a in get_format("csv").read(path, mpp=mpp).annotations]
        assert [v for yx in read for v in yx] == pytest.approx([v / mpp for yx in places for v in yx], abs=1e-5)
