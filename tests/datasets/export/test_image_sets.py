"""Promise: an export with images is a data set that a stranger trains on as it lies there, and that leads back."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_cyto.datasets import (
    ImageExportOptions,
    ImportOptions,
    LabelExportOptions,
    export,
    import_labels,
    preview,
    preview_job,
)
from napari_cyto.datasets.export._reading_rate import Reading
from napari_cyto.datasets.export.image_sets import _image_files
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, remove
from napari_cyto.domain.geometry import Box, Polygon
from napari_cyto.formats import FORMATS, WRITTEN
from napari_cyto.formats.image_sets import SPLITS, ImageSetFormat
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken
from napari_cyto.slides import fingerprint, shared_cache
from napari_cyto.store import Project

NAMES = sorted(name for name, each in WRITTEN.items() if isinstance(each, ImageSetFormat))
TILES = ImageExportOptions(images="tiles", tile_px=128, twins=False)


@pytest.fixture(autouse=True)
def _own_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user data"))


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "images.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def yolo_boxes(out: Path, row: dict[str, str]) -> list[tuple[int, list[float]]]:
    """The boxes of an image, level-0 px of its slide, from the label file, the image's size and the table alone."""
    image = out / "images" / row["split"] / row["image"]
    with Image.open(image) as opened:
        width, height = opened.size
    scale = (float(row["x1"]) - float(row["x0"])) / width
    found = []
    for line in (out / "labels" / row["split"] / f"{image.stem}.txt").read_text(encoding="utf-8").splitlines():
        number, x, y, w, h = line.split()
        x, y, w, h = float(x) * width, float(y) * height, float(w) * width, float(h) * height
        box = [(y - h / 2), (x - w / 2), (y + h / 2), (x + w / 2)]
        found.append(
            (int(number), [v * scale + float(row[k]) for v, k in zip(box, ("y0", "x0", "y0", "x0"), strict=True)])
        )
    return found


def test_those_that_train_detectors_are_these() -> None:
    assert NAMES == ["coco", "voc", "yolo"]


def test_fields_are_copied_and_divided_by_patient(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=8, patient=[f"p{i // 2}" for i in range(8)])
    result = run(export("yolo", made.folder, tmp_path / "out", ImageExportOptions())).result
    data = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text(encoding="utf-8"))
    assert "path" not in data, "Ultralytics looks beside the file where there is none"
    assert set(data) == {"train", "val", "test", "names"}
    rows = rows_of(tmp_path / "out")
    for row in rows:
        source = tmp_path / "pixels" / row["slide"]
        assert (tmp_path / "out" / data[row["split"]] / row["image"]).read_bytes() == source.read_bytes()
    of = {row["patient"]: {r["split"] for r in rows if r["patient"] == row["patient"]} for row in rows}
    assert len(of) == 4
    assert all(len(splits) == 1 for splits in of.values())
    assert not {"p0", "p1"} & set(of), "who patients are is nobody's business outside"
    found = sorted(tuple(np.round(box, 6)) for row in rows for _, box in yolo_boxes(tmp_path / "out", row))
    assert found == sorted(a.geometry.bounds_yxyx for a in made.cells)
    assert result["boxes"] == len(made.cells)
    assert sum(result["images"].values()) == 8


@pytest.mark.parametrize("scale", [1.0, 1.6, 2.0])
def test_tiles_lead_back_to_the_slide(make_project, run, tmp_path: Path, scale: float) -> None:
    made = make_project(slides=3, size_hw=(900, 700), cells=30)
    options = TILES.model_copy(update={"tile_mpp": 0.25 * scale})
    ended = run(export("yolo", made.folder, tmp_path / "out", options))
    by_slide = {slide.name: [a for a in made.cells if a.slide_id == slide.id] for slide in made.slides}
    seen: Counter[int] = Counter()
    places: Counter[tuple[str, float, float]] = Counter()
    names = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text(encoding="utf-8"))["names"]
    for row in rows_of(tmp_path / "out"):
        with Image.open(tmp_path / "out" / "images" / row["split"] / row["image"]) as opened:
            tile = np.asarray(opened.convert("RGB"))
        y0, x0, y1, x1 = (float(row[k]) for k in ("y0", "x0", "y1", "x1"))
        places[row["slide"], round(y0 / scale, 6) % 128, round(x0 / scale, 6) % 128] += 1
        assert (y1 - y0, x1 - x0) == pytest.approx((tile.shape[0] * scale, tile.shape[1] * scale))
        assert tile.shape == (128, 128, 3), "one size, for trainers enlarge small images"
        height, width = (128 - int(row[k]) for k in ("padding_bottom", "padding_right"))
        assert (tile[height + 1 :] == 255).all()
        assert (tile[:, width + 1 :] == 255).all()
        if scale == 1:
            with Image.open(tmp_path / "pixels" / row["slide"]) as whole:
                expected = np.asarray(whole)[round(y0) : round(y1), round(x0) : round(x1)]
            assert np.array_equal(tile[:height, :width], expected)
        for number, box in yolo_boxes(tmp_path / "out", row):
            cells = [
                a
                for a in by_slide[row["slide"]]
                if np.allclose(np.clip(a.geometry.bounds_yxyx, [y0, x0] * 2, [y1, x1] * 2), box, atol=1e-3)
                and names[number] == a.class_id
            ]
            assert cells, box
            seen[id(cells[0])] += 1
    assert {place[1:] for place in places} == {(0.0, 0.0)}, "tiles share no pixel"
    repeated = ended.result["tally"].get("repeated", 0)
    assert sum(seen.values()) == ended.result["boxes"] == len(made.cells) + repeated
    assert sum(ended.result["cells"].values()) == len(seen) == len(made.cells)
    rows = rows_of(tmp_path / "out")
    assert sum(int(row["boxes"]) for row in rows) == ended.result["boxes"]
    assert sum(int(row["boxes_cut"]) for row in rows) == ended.result["tally"].get("clipped", 0)
    assert sum(int(row["boxes_shared"]) for row in rows) == repeated + sum(n > 1 for n in seen.values())
    assert any("lie wholly inside regions" in note for note in ended.notes)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_exported_is_read_back_as_images_of_their_own(make_project, run, tmp_path: Path, name: str) -> None:
    made = make_project(slides=5, patient=list("aabbc"), scheme="bethesda")
    result = run(export(name, made.folder, tmp_path / "out", TILES)).result
    new = tmp_path / "new.cyto"
    back = run(import_labels(name, tmp_path / "out", new, ImportOptions(scheme="bethesda"))).result
    assert back["slides_added"] == sum(result["images"].values())
    assert back["annotations_added"] + back["doubled_in_source"] == result["boxes"]
    with Project.open(new) as project:
        slides = project.slides()
        assert {slide.mpp for slide in slides} == {0.5}
        assert len({slide.patient for slide in slides}) == 3
        assert {slide.smear for slide in slides} == {slide.name for slide in made.slides}
        assert all(Path(slide.path).is_file() for slide in slides)
        assert {slide.side for slide in slides} <= {"train", "test"}


@pytest.mark.parametrize("name", NAMES)
def test_whole_copies_find_their_own_slides_again(make_project, run, tmp_path: Path, name: str) -> None:
    made = make_project(slides=2, scheme="bethesda", fingerprint=["", ""])
    with Project.open(made.folder) as project:
        for slide in project.slides():
            project.update_slide(replace(slide, fingerprint=fingerprint(slide.path)))
    run(export(name, made.folder, tmp_path / "out", ImageExportOptions(twins=False)))
    back = run(import_labels(name, tmp_path / "out", made.folder)).result
    assert (back["slides_added"], back["annotations_added"]) == (0, 0)
    assert back["already_there"] == len(made.cells)


def test_coco_has_outlines_cut_at_the_border(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=1, cells=1, size_hw=(256, 256))
    corners = ((100.0, 100.0), (100.0, 190.0), (150.0, 145.0))
    with Project.open(made.folder) as project:
        outline = Annotation(slide_id=made.slides[0].id, geometry=Polygon(corners), class_id="healthy")
        project.apply(add([outline], "outline"), "me")
    options = TILES.model_copy(update={"tile_mpp": 0.25})
    run(export("coco", made.folder, tmp_path / "out", options))
    data = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text(encoding="utf-8"))
    assert data["categories"][0]["id"] == 1
    cut = [a for a in data["annotations"] if "segmentation" in a]
    assert cut
    for each in cut:
        x, y, w, h = each["bbox"]
        xs, ys = each["segmentation"][0][0::2], each["segmentation"][0][1::2]
        assert min(xs) >= 0
        assert max(xs) <= 128
        assert (min(xs), min(ys)) == pytest.approx((x, y))
        assert (max(xs), max(ys)) == pytest.approx((x + w, y + h))
    assert not (tmp_path / "out" / "annotations" / "instances_val.json").exists(), "one patient: nothing to validate on"


def test_a_file_of_coco_is_labels_alone_and_says_so(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2)
    ended = run(export("coco", made.folder, tmp_path / "out.json", ImageExportOptions()))
    assert any("is a file, so labels alone are written" in note for note in ended.notes)
    run(export("coco", made.folder, tmp_path / "plain.json", LabelExportOptions()))
    assert (tmp_path / "out.json").read_bytes() == (tmp_path / "plain.json").read_bytes()
    assert "got the name of a file" in run(export("coco", made.folder, tmp_path / "x.json", TILES)).refusal


def test_a_cell_that_two_tiles_hold_is_counted_once_and_said(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=1, cells=1, size_hw=(256, 256))
    with Project.open(made.folder) as project:
        box = Annotation(slide_id=made.slides[0].id, geometry=Box(30, 108, 70, 148), class_id="healthy")
        project.apply(add([box], "in the middle of two"), "me")
    ended = run(export("voc", made.folder, tmp_path / "out", TILES.model_copy(update={"tile_mpp": 0.25})))
    assert ended.result["boxes"] - ended.result["cells"]["train"] == 1
    assert any("another tile holds as well" in note for note in ended.notes)
    shared = [row for row in rows_of(tmp_path / "out") if row["boxes_shared"] != "0"]
    assert len(shared) == 2
    for row in shared:
        text = (tmp_path / "out" / "Annotations" / f"{Path(row['image']).stem}.xml").read_text(encoding="utf-8")
        assert "<truncated>1</truncated>" in text


def test_labels_alone_name_no_set_that_nobody_made(make_project, run, tmp_path: Path) -> None:
    """A stranger's trainer takes what data.yaml names as it is: nothing is to be tested on what it was trained on."""
    made = make_project(slides=3)
    alone = ImageExportOptions(images="none")
    run(export("yolo", made.folder, tmp_path / "a", alone))
    text = (tmp_path / "a" / "data.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) == {"names"}
    assert text.startswith("# Labels without their images")
    with Project.open(made.folder) as project:
        for slide, side in zip(project.slides(), ("train", "val", ""), strict=True):
            project.update_slide(replace(slide, side=side))
    run(export("yolo", made.folder, tmp_path / "b", alone))
    data = yaml.safe_load((tmp_path / "b" / "data.yaml").read_text(encoding="utf-8"))
    assert {key: data[key] for key in data if key != "names"} == {"train": "images/train", "val": "images/val"}
    folders = sorted(
        p.parent.relative_to(tmp_path / "b").as_posix() for p in (tmp_path / "b" / "labels").rglob("*.txt")
    )
    assert folders == ["labels", "labels/train", "labels/val"]


@pytest.mark.parametrize("name", NAMES)
def test_none_is_what_it_was(make_project, run, tmp_path: Path, name: str) -> None:
    made = make_project(slides=2)
    run(export(name, made.folder, tmp_path / "a", ImageExportOptions(images="none")))
    run(export(name, made.folder, tmp_path / "b", LabelExportOptions()))
    trees = [
        {p.name: p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()} or out.read_bytes()
        for out in (tmp_path / "a", tmp_path / "b")
    ]
    assert trees[0] == trees[1]


def test_what_cannot_be_is_a_sentence(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2)
    with Project.open(made.folder) as project:
        project.update_slide(replace(project.slides()[0], mpp=None))
    assert "--tile-unit px" in run(export("yolo", made.folder, tmp_path / "o", TILES)).refusal
    px = TILES.model_copy(update={"tile_unit": "px"})
    assert run(export("yolo", made.folder, tmp_path / "o", px)).result["tally"]["tiles"] > 2
    Path(made.slides[1].path).unlink()
    assert made.slides[1].name in run(export("yolo", made.folder, tmp_path / "p", ImageExportOptions())).refusal
    Path(made.slides[0].path).unlink()
    ended = run(export("yolo", made.folder, tmp_path / "p", ImageExportOptions()))
    assert any("None of the slides has its image" in note for note in ended.notes)
    ended = run(export("coco", made.folder, tmp_path / "q.v2", ImageExportOptions()))
    assert (Path(ended.result["target"]).name, (tmp_path / "q.v2.json").is_file()) == ("q.v2.json", True)
    assert any("to q.v2.json" in note for note in ended.notes), "labels alone are a file, by its suffix"


@pytest.mark.parametrize("name", ["at:ypical", "#1"])
def test_a_class_that_readers_of_voc_would_take_for_another_is_refused(make_project, run, tmp_path: Path, name) -> None:
    """Its list of classes ends a name at a colon and skips lines that begin with #."""
    made = make_project(slides=2)
    names = TILES.model_copy(update={"class_map": {"healthy": name}})
    assert repr(name) in run(export("voc", made.folder, tmp_path / "o", names)).refusal
    assert repr(name) in preview(made.folder, "voc", names).problem
    assert run(export("coco", made.folder, tmp_path / "o", names)).result["counts"]["train"][name]
    twice = TILES.model_copy(update={"class_map": {"healthy": "background"}})
    run(export("voc", made.folder, tmp_path / "v", twice))
    lines = (tmp_path / "v" / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("background")] == ["background:::"], "no name is listed twice"


def test_links_lead_to_the_originals_which_stay_as_they_are(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2)
    for slide in made.slides:
        Path(slide.path).chmod(0o444)
    run(export("voc", made.folder, tmp_path / "out", ImageExportOptions(images="link", twins=False)))
    linked = sorted((tmp_path / "out" / "JPEGImages").iterdir())
    assert [p.resolve() for p in linked] == [Path(s.path).resolve() for s in made.slides]
    run(export("voc", made.folder, tmp_path / "out", ImageExportOptions(images="link", twins=False)))
    assert all(Path(slide.path).is_file() for slide in made.slides)


def test_an_image_that_trainers_would_turn_is_written_upright(make_project, run, tmp_path: Path) -> None:
    """Trainers follow the tag for orientation, the annotations do not."""
    made = make_project(slides=1)
    path = Path(made.slides[0].path)
    with Image.open(path) as opened:
        exif = opened.getexif()
        exif[274] = 6
        opened.save(path.with_suffix(".jpg"), exif=exif)
    with Project.open(made.folder) as project:
        project.update_slide(replace(project.slides()[0], path=str(path.with_suffix(".jpg"))))
    run(export("yolo", made.folder, tmp_path / "out", ImageExportOptions()))
    [image] = (tmp_path / "out" / "images" / "train").iterdir()
    assert image.suffix == ".png"
    with Image.open(image) as opened:
        assert opened.size == (520, 420)
        assert opened.getexif().get(274) is None


def test_slides_that_show_the_same_cells_are_in_one_set(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=6, cells=4)
    pixels = [Path(slide.path) for slide in made.slides]
    pixels[5].write_bytes(pixels[0].read_bytes())
    with Project.open(made.folder) as project:
        copies = [
            Annotation(slide_id=made.slides[5].id, geometry=a.geometry, class_id=a.class_id)
            for a in made.cells
            if a.slide_id == made.slides[0].id
        ]
        project.apply(add(copies, "again"), "me")
    kept_bytes = shared_cache().nbytes
    for seed in range(4):
        options = ImageExportOptions(seed=seed, test_share=0.4, validation_share=0.3)
        run(export("yolo", made.folder, tmp_path / "out", options))
        split_of = {row["slide"]: row["split"] for row in rows_of(tmp_path / "out")}
        assert split_of[pixels[0].name] == split_of[pixels[5].name]
    assert shared_cache().nbytes == kept_bytes, "what the window shows is not pushed out by thousands of fields"


def test_sets_that_came_and_leak_are_refused(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2, patient=["p", "p"], side=["train", "test"])
    assert "share data" in run(export("yolo", made.folder, tmp_path / "out", ImageExportOptions())).refusal
    run(export("yolo", made.folder, tmp_path / "out", ImageExportOptions(reason="pilot", overrides=("leak",))))
    kept = json.loads((tmp_path / "out" / "napari-cyto-export.json").read_text(encoding="utf-8"))
    assert kept["leak_allowed_because"] == "pilot"


def test_published_sets_that_cannot_be_completed_are_kept_and_that_is_said(make_project, run, tmp_path: Path) -> None:
    """One patient, all of them published: no validation set can be taken out of it without a leak."""
    made = make_project(slides=2, patient=["p", "p"], side=["train", "train"])
    ended = run(export("yolo", made.folder, tmp_path / "out", ImageExportOptions(twins=False)))
    assert ended.result["images"] == {"train": 2, "val": 0, "test": 0}
    assert any("kept as they are, and not completed" in note for note in ended.notes)
    bad = ImageExportOptions(twins=False, test_share=0.8, validation_share=0.5)
    assert "share" in run(export("yolo", made.folder, tmp_path / "out", bad)).refusal


def test_a_preview_counts_what_is_written_then(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=5, patient=list("abcde"), cells=20, size_hw=(700, 700))
    seen = preview(made.folder, "yolo", TILES)
    result = run(export("yolo", made.folder, tmp_path / "out", TILES)).result
    assert seen.ok, seen.problem
    assert seen.slices == result["images"]
    assert sum(seen.cells.values()) == result["boxes"]
    assert set(seen.split["smears"]) == set(SPLITS)


@pytest.mark.parametrize(("name", "options"), [("yolo", TILES), ("apacc", None), ("csv", LabelExportOptions())])
def test_a_preview_tells_how_far_it_is_and_can_be_stopped(make_project, run, monkeypatch, name, options) -> None:
    """A million cells take it half a minute."""
    made = make_project(slides=3, cells=40, size_hw=(700, 700), scheme="apacc")
    read: list[int] = []
    monkeypatch.setattr(Reading, "take", lambda _self, number: read.append(number))
    ended = run(preview_job(made.folder, name, options))
    assert ended.result == preview(made.folder, name, options).to_json()
    assert ended.progress[-1].total == sum(read) == len(made.cells) * (2 if name == "yolo" else 1)
    monkeypatch.undo()
    stopped = CancelToken()
    stopped.cancel()
    assert isinstance(run(preview_job(made.folder, name, options, stopped)).last, Cancelled)


@pytest.mark.parametrize("looks", [0, 2, 9])
def test_a_stop_leaves_what_was_there(make_project, run, tmp_path: Path, tree_bytes, looks: int) -> None:
    made = make_project(slides=3)
    run(export("yolo", made.folder, tmp_path / "out", TILES))
    before = tree_bytes(tmp_path / "out")

    class After(CancelToken):
        left = looks

        def cancelled(self) -> bool:
            self.left -= 1
            return self.left < 0

    ended = run(export("yolo", made.folder, tmp_path / "out", TILES, After()))
    assert isinstance(ended.last, Cancelled)
    assert tree_bytes(tmp_path / "out") == before
    assert not list(tmp_path.glob(".out*"))


def test_progress_grows_to_its_end_and_a_changed_export_is_not_replaced(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3)
    ended = run(export("coco", made.folder, tmp_path / "out", TILES))
    done = [e.done for e in ended.progress if isinstance(e, Advanced) and re.search("png|disk", e.message)]
    assert done == sorted(done)
    assert done[-1] == ended.progress[-1].total
    run(export("coco", made.folder, tmp_path / "out", TILES))
    (tmp_path / "out" / "images.csv").write_text("mine", encoding="utf-8")
    assert "was changed since" in run(export("coco", made.folder, tmp_path / "out", TILES)).refusal


def test_few_slides_are_open_at_a_time(make_project, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_cyto.datasets.export import _open_slides
    from napari_cyto.slides import Slide

    open_now, most = set(), 0
    real, close = _open_slides.open_slide, Slide.close

    def opening(*args):
        nonlocal most
        slide = real(*args)
        open_now.add(id(slide))
        most = max(most, len(open_now))
        return slide

    def closing(self):
        open_now.discard(id(self))
        close(self)

    monkeypatch.setattr(_open_slides, "open_slide", opening)
    monkeypatch.setattr(Slide, "close", closing)
    made = make_project(slides=40, cells=2, size_hw=(100, 100))
    run(export("yolo", made.folder, tmp_path / "out", TILES))
    assert 0 < most <= 2 * _image_files.WORKERS + 1
    assert not open_now


def test_predictions_are_written_when_requested(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=1, cells=1)
    with Project.open(made.folder) as project:
        cell = Annotation(
            slide_id=made.slides[0].id, geometry=Box(5, 5, 25, 25), class_id="healthy", status=Status.UNREVIEWED
        )
        project.apply(add([cell], "find"), "model")
    assert run(export("yolo", made.folder, tmp_path / "a", ImageExportOptions())).result["boxes"] == 1
    both = ImageExportOptions(writer={"include_proposed": True})
    assert run(export("yolo", made.folder, tmp_path / "b", both)).result["boxes"] == 2
    assert FORMATS["yolo"].title == "YOLO"


@pytest.mark.parametrize("images", ["auto", "tiles"])
def test_a_slide_that_nobody_annotated_is_not_written(make_project, run, tmp_path: Path, images: str) -> None:
    """A trainer takes every image at its word: what was not looked at would teach that cells are background."""
    made = make_project(slides=4)
    last = made.slides[3]
    with Project.open(made.folder) as project:
        of_last = [a for a in made.cells if a.slide_id == last.id]
        project.apply(remove(of_last, "take away"), "me")
        project.update_slide(replace(last, mpp=None))
    options = ImageExportOptions(images=images, twins=False)
    ended = run(export("yolo", made.folder, tmp_path / "out", options))
    assert last.name not in {row["slide"] for row in rows_of(tmp_path / "out")}
    assert any(note.startswith("1 slide without annotations is left out") for note in ended.notes)
    if images == "auto":
        every = options.model_copy(update={"unannotated": True})
        run(export("yolo", made.folder, tmp_path / "out", every))
        assert [row["boxes"] for row in rows_of(tmp_path / "out") if row["slide"] == last.name] == ["0"]
    height, width = last.size_hw
    region = Polygon(((0.0, 0.0), (0.0, width), (height, width), (height, 0.0)))
    with Project.open(made.folder) as project:
        project.apply(add([Annotation(slide_id=last.id, geometry=region, class_id=None)], "all seen"), "me")
    run(export("yolo", made.folder, tmp_path / "out", options))
    shown = [row["boxes"] for row in rows_of(tmp_path / "out") if row["slide"] == last.name]
    assert shown == (["0"] if images == "auto" else []), "a region says that there are none"


def test_a_full_disk_leaves_the_old_data_set_untouched(
    make_project, run, tmp_path: Path, tree_bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_project(slides=3)
    run(export("coco", made.folder, tmp_path / "out", TILES))
    before = tree_bytes(tmp_path / "out")
    left, real = [3], _image_files.encoded

    def full_after_three(pixels: np.ndarray, suffix: str) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(pixels, suffix)

    monkeypatch.setattr(_image_files, "encoded", full_after_three)
    assert "disk is full" in run(export("coco", made.folder, tmp_path / "out", TILES)).refusal
    assert tree_bytes(tmp_path / "out") == before
    assert not list(tmp_path.glob(".out*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_cyto.datasets import ImageExportOptions, export
options = ImageExportOptions(images="tiles", tile_px=128, twins=False)
for event in export("yolo", Path(sys.argv[1]), Path(sys.argv[2]), options):
    if getattr(event, "message", "").endswith(".png"):
        os._exit(9)
"""


def test_a_killed_export_has_no_name_and_the_next_sweeps_up_after_it(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3)
    command = [sys.executable, "-c", KILLED, str(made.folder), str(tmp_path / "out")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 9
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out.partial-*"))
    run(export("yolo", made.folder, tmp_path / "out", TILES))
    assert not list(tmp_path.glob(".*"))
