"""Promise: what an audit looks at is what lies there: every cell where it is, every file by its name, every fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets.audit._folder_subject import audited_tree, same_files
from napari_cyto.datasets.audit._project_subject import _cell, audited_project
from napari_cyto.datasets.audit.job import _compared
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.audit.subject import Audited, NamedCrop
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled, SlideError
from napari_cyto.jobs.events import Advanced, CancelToken
from napari_cyto.store import Project

SCHEME = ClassScheme("it", 1, (CellClass("healthy", "Healthy", "#101010", box_um=20.0),))
A_LINE = Polygon(((5.0, 5.0), (5.0, 9.0), (5.0, 7.0)))


@pytest.mark.parametrize(
    ("shape", "class_id", "mpp", "size_hw", "box"),
    [
        (Box(10.5, 20, 30, 41.25), "healthy", 0.5, (100, 200), (10.5, 20, 30, 41.25)),
        (A_LINE, "healthy", 0.5, (100, 200), (5, 5, 6, 9)),
        (Point(50, 100), "healthy", 0.5, (100, 200), (30, 80, 70, 120)),
        (Point(50, 100), "healthy", None, (100, 200), (0, 50, 100, 150)),
        (Point(150, 200), "other", 0.5, (400, 400), (100, 150, 200, 250)),
        (Point(150, 200), "other", None, (400, 400), (100, 150, 200, 250)),
        (Point(5, 195), "healthy", 0.5, (100, 200), (0, 175, 25, 200)),
        (Point(95, 5), "healthy", 0.5, (100, 200), (75, 0, 100, 25)),
        (Point(-3, 50), "healthy", 0.5, (100, 200), (-23, 30, 17, 70)),
        (Point(50, 203), "healthy", 0.5, (100, 200), (30, 183, 70, 223)),
    ],
)
def test_a_cell_of_a_project_is_where_it_is_drawn(
    shape: Any, class_id: str, mpp: float | None, size_hw: tuple[int, int], box: tuple[float, ...]
) -> None:
    """A point is a square of its class's size, cut at the image's border unless the point itself lies outside."""
    slide = SlideRecord(name="a", size_hw=size_hw, mpp=mpp)
    found = _cell(slide, Annotation(slide_id=slide.id, geometry=shape, class_id=class_id), class_id, SCHEME)
    assert found.box.bounds_yxyx == box
    assert (found.slide_id, found.said, found.line) == (slide.id, class_id, 0)
    assert found.class_id == (class_id if class_id == "healthy" else None)
    assert found.is_point == isinstance(shape, Point)


def by_kind(findings: list[Finding]) -> dict[str, Finding]:
    assert len({f.kind for f in findings}) == len(findings)
    return {f.kind: f for f in findings}


def test_a_project_gives_its_accepted_cells_and_what_it_cannot_show(make_project) -> None:
    made = make_project(slides=4, cells=2, side=["train", "test", "train", "test"])
    with Project.open(made.folder) as project:
        region = Polygon(((0.0, 0.0), (0.0, 50.0), (50.0, 50.0)))
        more = [
            Annotation(slide_id=made.slides[0].id, geometry=Box(1, 1, 9, 9), class_id="healthy", status=status)
            for status in (Status.UNREVIEWED, Status.REJECTED)
        ]
        whole = Annotation(slide_id=made.slides[0].id, geometry=region, class_id=None)
        project.apply(add([*more, whole], "more"), "me")
        Path(made.slides[2].path).write_bytes(b"")
        Path(made.slides[3].path).unlink()
        ticks: list[int] = []
        audited = audited_project(project, lambda: ticks.append(0))
        assert len(ticks) >= 2 * len(made.slides), "a stop is noticed at each slide, read twice"
        assert [(c.slide_id, c.box) for c in audited.cells] == [(a.slide_id, a.geometry) for a in made.cells]
        assert audited.sets_came
        assert [slide.side for slide in audited.slides] == ["train", "test", "train", "test"]
        found = by_kind(audited.findings)
        broken, missing = found.pop("bad_image"), found.pop("missing_image")
        assert found == {}
        assert [row["slide"] for row in broken.rows] == [made.slides[2].name]
        assert (
            broken.detail == f"1 image cannot be read, the first is {made.slides[2].name}: {broken.rows[0]['reason']}"
        )
        assert [row["slide"] for row in missing.rows] == [made.slides[3].name]
        assert missing.detail == "1 slide has no image file here; crops there were not compared."
        crops = [(side, name, read()) for side, name, read in audited.crops()]
    expected = [cell for cell in audited.cells if cell.slide_id in {s.id for s in made.slides[:2]}]
    assert len(crops) == len(expected)
    pixels = {s.id: np.asarray(Image.open(s.path)) for s in made.slides[:2]}
    sides = {s.id: s.side for s in made.slides}
    names = {s.id: s.name for s in made.slides}
    for (side, name, shown), cell in zip(crops, expected, strict=True):
        y0, x0, y1, x1 = (round(v) for v in cell.box.bounds_yxyx)
        y, x = (round(v) for v in cell.box.centre_yx)
        assert (side, name) == (sides[cell.slide_id], f"{names[cell.slide_id]} at y {y}, x {x}")
        assert np.array_equal(shown, pixels[cell.slide_id][y0:y1, x0:x1])


def write(path: Path, content: str | np.ndarray | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        Image.fromarray(content).save(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def drawn(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_folder_of_slices_gives_its_cells_by_line_and_its_faults_by_file(tmp_path: Path) -> None:
    """Crops that are not named after a class are no crops to compare with, and the slices are used in their place."""
    train, test = tmp_path / "train", tmp_path / "test"
    pixels = drawn(0)
    write(train / "a_1_0_2000.png", pixels)
    write(train / "a_1_0_2000.txt", "0 0.01 0.01 0.01 0.012\n7 0.5 0.5 0.1 0.1\n")
    write(train / "a_1_4000_0.txt", "2 0.5 0.5 0.1 0.1\n0 0.5\n")
    write(test / "b_2_2000-0.png", b"no image")
    write(test / "b_2_4000-0.png", np.full((2000, 2000, 3), 240, np.uint8))
    ticks: list[int] = []
    audited = audited_tree(tmp_path, lambda: ticks.append(0))
    assert len(ticks) == 4
    rows = [(s.stem, s.side, s.smear, s.offset_yx, s.size_hw, Path(s.path).name) for s in audited.slides]
    assert rows == [
        ("a_1_0_2000", "train", "a_1", (2000, 0), (2000, 2000), "a_1_0_2000.png"),
        ("a_1_4000_0", "train", "a_1", (0, 4000), (2000, 2000), ""),
        ("b_2_2000-0", "test", "b_2", (0, 2000), (2000, 2000), "b_2_2000-0.png"),
        ("b_2_4000-0", "test", "b_2", (0, 4000), (2000, 2000), "b_2_4000-0.png"),
    ]
    cells = [(c.slide_id, c.class_id, c.said, c.line, c.is_point) for c in audited.cells]
    first, second = audited.slides[0].id, audited.slides[1].id
    assert cells == [
        (first, "healthy", "healthy", 1, False),
        (first, None, "7", 2, False),
        (second, "unhealthy", "unhealthy", 1, False),
    ]
    assert audited.cells[0].box.bounds_yxyx == pytest.approx((8, 10, 32, 30))
    found = by_kind(audited.findings)
    assert {kind: (str(f.severity), f.detail) for kind, f in found.items()} == {
        "bad_label": ("error", "1 label file or line cannot be read, the first of slice a_1_4000_0."),
        "missing_label": (
            "error",
            "2 slices have no label file, the first is b_2_2000-0; a slice without cells needs an empty label file.",
        ),
        "missing_image": ("error", "1 label file has no image, the first is a_1_4000_0."),
        "bad_image": ("error", "1 image cannot be read, the first of slice b_2_2000-0."),
        "slice_size": ("warning", "1 slice image is not of 2000 x 2000 px, the first is a_1_0_2000."),
    }
    assert found["slice_size"].rows == ({"slice": "a_1_0_2000", "side": "train", "width": 60, "height": 40},)
    assert found["missing_label"].rows[0] == {"slice": "b_2_2000-0", "side": "test"}
    assert found["missing_image"].rows == ({"slice": "a_1_4000_0", "side": "train"},)
    assert found["bad_image"].rows[0]["side"] == found["bad_label"].rows[0]["side"].replace("train", "test")
    crops = list(audited.crops())
    assert [(side, name) for side, name, _ in crops] == [("train", "a_1_0_2000 line 1"), ("train", "a_1_0_2000 line 2")]
    assert np.array_equal(crops[0][2](), pixels[8:32, 10:30])


def test_labels_alone_are_no_fault_and_crops_alone_tell_of_their_smears(tmp_path: Path) -> None:
    write(tmp_path / "labels" / "train" / "a_0_0.txt", "0 0.5 0.5 0.1 0.1\n")
    (only,) = audited_tree(tmp_path / "labels").findings
    assert (only.kind, str(only.severity), only.rows) == ("labels_only", "info", ({"slices": 1},))
    crops = tmp_path / "crops"
    for side, smear, folder in (("train", "a", "healthy"), ("train", "a", "rubbish"), ("test", "a", "helthy")):
        write(crops / side / folder / f"{smear}_0-0_1_9-9_2021-07-07.png", drawn(1))
    audited = audited_tree(crops)
    assert [(s.name, s.smear, s.side) for s in audited.slides] == [("a", "a", "train"), ("a", "a", "test")]
    found = by_kind(audited.findings)
    assert found.keys() == {"crop_class"}
    assert found["crop_class"].detail == "1 folder of crops is not named after a class, the first is test/helthy."
    assert found["crop_class"].rows == ({"folder": "test/helthy", "crops": 1},)
    named = [(side, name) for side, name, _ in audited.crops()]
    assert sorted(named) == sorted((p.parts[-3], p.relative_to(crops).as_posix()) for p in crops.rglob("*.png"))
    for _, name, read in audited.crops():
        assert np.array_equal(read(), np.asarray(Image.open(crops / name)))


def test_the_same_file_is_a_leak_between_sets_and_nowhere_else(tmp_path: Path) -> None:
    contents = {"a": drawn(1), "b": drawn(2), "c": drawn(3), "glass": np.full((40, 60, 3), 243, np.uint8)}
    placed = [
        *(("train", "a", n) for n in range(2)),
        ("test", "a", 2),
        ("test", "a", 3),
        *(("train", "b", n) for n in range(4, 6)),
        *(("test", "c", n) for n in range(6, 8)),
        ("train", "glass", 8),
        ("test", "glass", 9),
    ]
    slides, images = [], {}
    for side, content, n in placed:
        slide = SlideRecord(name=str(n), stem=str(n), side=side)
        path = tmp_path / f"{n}.bmp"
        Image.fromarray(contents[content]).save(path)
        slides.append(slide)
        images[slide.id] = path
    slides.append(SlideRecord(name="10", stem="10", side="test"))
    ticks: list[int] = []
    (found,) = same_files(slides, images, lambda: ticks.append(0))
    assert len(ticks) == len(images), "all are of one size, so that each is read"
    assert (found.kind, str(found.severity), found.leak) == ("same_image", "error", True)
    assert found.rows == ({"train": "0", "test": "2"},)
    assert found.detail == "1 image is in the training and the test set, byte for byte: 0 and 2."
    assert same_files([s for s in slides if s.side == "train"], images, lambda: ticks.append(0)) == []
    assert len(ticks) == len(images), "nothing is read of a single set"


def crops_of(*named: tuple[str, str, np.ndarray | None]) -> Audited:
    def reader(pixels: np.ndarray | None) -> Any:
        def read() -> np.ndarray:
            if pixels is None:
                raise SlideError("Broken.")
            return pixels

        return read

    def crops() -> Iterator[NamedCrop]:
        return iter([(side, name, reader(pixels)) for side, name, pixels in named])

    return Audited("it", crops=crops)


def ended(steps: Any) -> tuple[list[Advanced], list[Finding]]:
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return said, end.value


def cell(seed: int) -> np.ndarray:
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8))
    return np.asarray(small.resize((48, 48), Image.Resampling.BICUBIC))


def test_every_two_sets_are_compared_and_what_cannot_be_read_is_listed() -> None:
    one, other = cell(1), cell(2)
    audited = crops_of(
        ("train", "t1", one),
        ("", "nowhere", one),
        ("validation", "v1", other),
        ("train", "t2", other),
        ("test", "e1", one),
        ("test", "e2", other),
        ("test", "e3", None),
    )
    said, findings = ended(_compared(audited, None))
    duplicates = [(f.severity, f.leak, f.rows) for f in findings if f.kind == "duplicate_crop"]
    pairs = [{k: v for k, v in row.items() if k != "similarity"} for _, _, rows in duplicates for row in rows]
    assert pairs == [
        {"train": "t2", "validation": "v1"},
        {"train": "t1", "test": "e1"},
        {"train": "t2", "test": "e2"},
        {"validation": "v1", "test": "e2"},
    ]
    assert {(str(severity), leak) for severity, leak, _ in duplicates} == {("error", True)}
    assert findings[-1].rows == ({"crop": "e3", "side": "test", "reason": "Broken."},)
    assert findings[-1].detail == "1 crop cannot be read, the first is e3."
    looked_at = ["t1", "v1", "t2", "e1", "e2", "e3"]
    assert [e.message for e in said if e.message in looked_at] == looked_at
    assert [e.done for e in said[:6]] == [1, 3, 4, 5, 6, 7]
    assert said[6] == Advanced(7, 7, "Comparing 2 crops (train) with 1 (validation).")
    audited.sets_came = False
    assert {str(f.severity) for f in ended(_compared(audited, None))[1] if f.kind == "duplicate_crop"} == {"warning"}


@pytest.mark.parametrize("looks", range(5))
def test_a_comparison_is_stopped_wherever_it_is(looks: int) -> None:
    class After(CancelToken):
        left = looks

        def cancelled(self) -> bool:
            self.left -= 1
            return self.left < 0

    audited = crops_of(("train", "a", cell(1)), ("test", "b", cell(2)))
    with pytest.raises(JobCancelled, match="Nothing was changed"):
        ended(_compared(audited, After()))


def test_what_is_neither_slices_nor_crops_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "nothing")
    with pytest.raises(CytoError, match="Expected APACC label files or crops"):
        audited_tree(tmp_path)
