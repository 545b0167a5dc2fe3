"""Promise: what annotation programs write is read for what it says, and all that is no cell is counted, not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import FORMATS, WRITTEN, get_format, written_format
from napari_cyto.formats._shapes import ELLIPSE_CORNERS

GOLDEN = Path(__file__).parents[1] / "golden"


def read(name: str, place: str | Path, **options: Any) -> LabelSet:
    return get_format(name).read(GOLDEN / place, **options)


def cells(labels: LabelSet) -> list[tuple[Any, str | None]]:
    """Shapes and classes; of ellipses their bounds."""
    return [(_brief(a), a.class_id) for a in labels.annotations]


def _brief(a: Annotation) -> Any:
    round_one = isinstance(a.geometry, Polygon) and len(a.geometry.vertices_yx) == ELLIPSE_CORNERS
    return tuple(round(v, 3) for v in a.geometry.bounds_yxyx) if round_one else a.geometry


def slides(labels: LabelSet) -> list[tuple[Any, ...]]:
    return [(s.name, s.size_hw, s.side) for s in labels.slides]


def said(labels: LabelSet) -> str:
    return "\n".join(labels.remarks)


TRIANGLE = Polygon(((100, 100), (105, 140), (150, 120)))


class TestPascalVoc:
    def test_boxes_outlines_and_sets(self) -> None:
        labels = read("voc", "voc")
        assert slides(labels) == [("field_1.jpg", (480, 640), "train"), ("field_2.jpg", None, "test")]
        assert cells(labels) == [
            (Box(20, 10, 60, 50), "HSIL"),
            (Box(400, 600.5, 470.25, 640), "LSIL"),
            (TRIANGLE, "NILM"),
            (Box(190, 210, 230, 230), "HSIL"),
        ]
        assert [a.note for a in labels.annotations] == ["", "difficult", "", ""]
        assert "1 part of objects left out" in said(labels)
        assert "1 object flagged as difficult" in said(labels)
        assert "Images of the validation set count as test." in labels.remarks

    def test_the_devkit_counts_pixels_from_1_and_includes_both_ends(self) -> None:
        labels = read("voc", "voc/Annotations/field_1.xml", pixels="devkit")
        assert labels.annotations[0].geometry == Box(19, 9, 60, 50)

    def test_images_in_folders_keep_them_and_find_their_pixels(self, tmp_path: Path) -> None:
        for patient in ("patient_A", "patient_B"):
            (tmp_path / patient).mkdir()
            (tmp_path / patient / "001.xml").write_text(voc("001.png"), encoding="utf-8")
            Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / patient / "001.png")
        labels = get_format("voc").read(tmp_path)
        assert [s.name for s in labels.slides] == ["patient_A/001.png", "patient_B/001.png"]
        assert [Path(s.path).parent.name for s in labels.slides] == ["patient_A", "patient_B"]

    def test_two_files_of_one_image_are_refused(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / f"{name}.xml").write_text(voc("001.png"), encoding="utf-8")
        with pytest.raises(FormatError, match=r"'001\.png' occurs twice"):
            get_format("voc").read(tmp_path)

    def test_what_is_written(self, tmp_path: Path) -> None:
        labels = LabelSet(
            (SlideRecord(name="a.png", size_hw=(100, 200), side="train", id="s"),),
            (
                Annotation(slide_id="s", geometry=Box(10, 20, 30.4, 40), class_id="HSIL"),
                Annotation(slide_id="s", geometry=Box(-5, 190, 10, 210), class_id="<LSIL & more>"),
            ),
        )
        assert get_format("voc").losses(labels)[-2:] == (
            "1 box will be rounded to whole pixels.",
            "1 box will be clipped at the border of the image.",
        )
        get_format("voc").write(labels, tmp_path / "out")
        text = (tmp_path / "out" / "Annotations" / "a.xml").read_text(encoding="utf-8")
        assert "<xmin>20</xmin>\n\t\t\t<ymin>10</ymin>\n\t\t\t<xmax>40</xmax>\n\t\t\t<ymax>30</ymax>" in text
        assert (tmp_path / "out" / "ImageSets" / "Main" / "train.txt").read_text(encoding="utf-8") == "a\n"
        back = get_format("voc").read(tmp_path / "out")
        assert cells(back) == [(Box(10, 20, 30, 40), "HSIL"), (Box(0, 190, 10, 200), "<LSIL & more>")]
        assert slides(back) == [("a.png", (100, 200), "train")]
        get_format("voc").write(labels, tmp_path / "kit", pixels="devkit")
        assert "<xmin>21</xmin>" in (tmp_path / "kit" / "Annotations" / "a.xml").read_text(encoding="utf-8")
        assert cells(get_format("voc").read(tmp_path / "kit", pixels="devkit")) == cells(back)


def voc(filename: str, *, box: str = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>") -> str:
    size = "<size><width>64</width><height>48</height></size>"
    thing = f"<object><name>HSIL</name><bndbox>{box}</bndbox></object>"
    return f"<annotation><filename>{filename}</filename>{size}{thing}</annotation>"


def studio(tmp_path: Path, *tasks: dict[str, Any], **options: Any) -> LabelSet:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(list(tasks)), encoding="utf-8")
    return get_format("labelstudio").read(path, **options)


def task(image: str, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data": {"image": image}, "annotations": list(annotations), **more}


def by(who: object, *points: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {"completed_by": who, "result": [point(x, y) for x, y in points], **more}


def point(x: float, y: float, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 1, "keypointlabels": ["HSIL"]}
    return {"type": "keypointlabels", "original_width": 200, "original_height": 100, "value": value, **more}


class TestLabelStudio:
    def test_percents_of_each_side_become_pixels(self) -> None:
        labels = read("labelstudio", "labelstudio/export.json")
        assert slides(labels) == [
            ("field_1.png", (500, 1000), ""),
            ("patient B/001.png", (100, 200), ""),
            ("patient_A/001.png", None, ""),
        ]
        assert cells(labels) == [
            (Box(100, 100, 140, 150), "HSIL"),
            (Box(250, 480, 350, 500), "LSIL"),  # turned by 90 degrees about its top left corner
            ((170, 280, 230, 320), "NILM"),
            (Point(400.5, 700.5), "NILM"),
            (Polygon(((10, 10), (10, 30), (30, 20))), "HSIL"),
            (Box(100, 800, 140, 850), "ASC-H"),
            (Box(10, 20, 60, 120), "HSIL"),
        ]

    def test_people_annotate_and_models_predict(self) -> None:
        labels = read("labelstudio", "labelstudio/export.json")
        first, last = labels.annotations[0], labels.annotations[-1]
        assert (first.author, first.note, first.status) == ("ann@example.org", "koilocyte?", Status.ACCEPTED)
        assert (last.author, last.status, last.scores) == ("v1", Status.UNREVIEWED, (("HSIL", 0.875),))
        assert len(read("labelstudio", "labelstudio/export.json", predictions=False).annotations) == 6

    @pytest.mark.parametrize(
        "sentence",
        [
            "1 annotation of skipped tasks left out",
            "1 prediction left out, since their tasks are annotated",
            "1 ellipse read as an outline",
            "1 result of type brushlabels left out",
            "1 result of type choices left out",
        ],
    )
    def test_all_that_is_no_cell_is_counted(self, sentence: str) -> None:
        assert sentence in said(read("labelstudio", "labelstudio/export.json"))

    def test_a_turned_box_is_an_outline_and_said(self, tmp_path: Path) -> None:
        value = {"x": 50, "y": 50, "width": 10, "height": 10, "rotation": 45, "rectanglelabels": ["HSIL"]}
        turned = {"type": "rectanglelabels", "original_width": 100, "original_height": 100, "value": value}
        labels = studio(tmp_path, task("a.png", {"result": [turned]}))
        outline = labels.annotations[0].geometry
        assert isinstance(outline, Polygon)
        assert outline.vertices_yx[0] == (50, 50)
        assert outline.vertices_yx[1] == pytest.approx((57.0711, 57.0711))
        assert "1 turned box read as an outline" in said(labels)

    def test_several_annotators_are_a_question(self, tmp_path: Path) -> None:
        both = task("a.png", by("ann", (10, 10)), by("bob", (20, 20), (30, 30)))
        with pytest.raises(FormatError, match=r"ann \(1\), bob \(1\); choose whose"):
            studio(tmp_path, both)
        labels = studio(tmp_path, both, annotator="bob")
        assert [(a.author, a.geometry) for a in labels.annotations] == [("bob", Point(20, 40)), ("bob", Point(30, 60))]
        assert "1 annotation of others than bob left out" in said(labels)
        assert [a.author for a in studio(tmp_path, both, annotator="all").annotations] == ["ann", "bob", "bob"]
        with pytest.raises(FormatError, match="there are no annotations of 'eve'; there are those of ann, bob"):
            studio(tmp_path, both, annotator="eve")

    def test_one_starred_as_ground_truth_is_taken(self, tmp_path: Path) -> None:
        labels = studio(tmp_path, task("a.png", by(1, (10, 10)), by(2, (20, 20), ground_truth=True)))
        assert [a.author for a in labels.annotations] == ["2"]
        assert "1 annotation left out, since another of the same task is starred" in said(labels)

    def test_uploads_of_one_name_are_never_merged(self, tmp_path: Path) -> None:
        first, second = (f"/data/upload/1/{stamp}-001.png" for stamp in ("1a2b3c4d", "5e6f7a8b"))
        labels = studio(tmp_path, task(first, by(1, (10, 10))), task(second, by(1, (20, 20))))
        assert [s.name for s in labels.slides] == ["1a2b3c4d-001.png", "5e6f7a8b-001.png"]
        assert "keep the name that Label Studio gave them" in said(labels)

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("s3://bucket/patient_A/001.png", "patient_A/001.png"),
            ("https://host/a%20b/001.png?token=1", "a b/001.png"),
            ("/data/local-files/?d=slides/S1.2.svs", "slides/S1.2.svs"),
            ("patient_A\\001.png", "patient_A/001.png"),
            ("C:\\slides\\001.png", "slides/001.png"),
            ("S1.svs", "S1.svs"),
        ],
    )
    def test_names_keep_their_folders(self, tmp_path: Path, address: str, name: str) -> None:
        assert studio(tmp_path, task(address)).slides[0].name == name

    @pytest.mark.parametrize(
        ("spoiled", "words"),
        [
            ({"image_rotation": 90}, "rotated in Label Studio"),
            ({"value": {"x": 1, "y": 1, "keypointlabels": ["HSIL", "LSIL"]}}, "several labels"),
            ({"value": {"x": 101, "y": 1, "keypointlabels": ["HSIL"]}}, "entirely outside"),
            ({"value": {"x": None, "y": 1, "keypointlabels": ["HSIL"]}}, "expected x to be a number"),
            ({"original_width": 0}, "above 0"),
        ],
    )
    def test_bad_results_are_named_and_may_be_skipped(
        self, tmp_path: Path, spoiled: dict[str, Any], words: str
    ) -> None:
        tasks = (task("a.png", {"result": [point(1, 1, **spoiled)]}, id=5), task("b.png", by(1, (1, 1))))
        with pytest.raises(FormatError, match=f"task 5: .*{words}"):
            studio(tmp_path, *tasks)
        assert len(studio(tmp_path, *tasks, skip_bad=True).annotations) == 1

    def test_what_is_written_is_what_label_studio_imports(self, tmp_path: Path) -> None:
        slide = SlideRecord(name="a.png", size_hw=(100, 200), mpp=0.25, id="s")
        rows = (
            Annotation(slide_id="s", geometry=Box(10, 20, 30, 40), class_id="HSIL", note="sure"),
            Annotation(slide_id="s", geometry=Point(50, 100), class_id="LSIL", status=Status.UNREVIEWED),
        )
        get_format("labelstudio").write(LabelSet((slide,), rows), tmp_path / "out.json")
        (written,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        (box,) = written["annotations"][0]["result"]
        assert box["value"] == {"x": 10, "y": 10, "width": 10, "height": 20, "rotation": 0, "rectanglelabels": ["HSIL"]}
        assert (box["original_width"], box["original_height"], box["meta"]) == (200, 100, {"text": ["sure"]})
        assert written["predictions"][0]["result"][0]["type"] == "keypointlabels"


class TestLabelMe:
    def test_shapes(self) -> None:
        labels = read("labelme", "labelme")
        assert slides(labels) == [("field_1.png", (480, 640), "")]
        assert cells(labels) == [
            (Box(20, 10, 60, 50), "HSIL"),
            (Polygon(((100, 100.5), (105, 140), (150, 120))), "LSIL"),
            ((195, 295, 205, 305), "NILM"),
            (Point(300, 400), "NILM"),
            (Box(100, 500, 130, 530), "HSIL"),
            (Polygon(((200, 210), (210, 220), (220, 210), (210, 200))), "ASC-H"),
        ]
        assert (labels.annotations[0].note, labels.annotations[-1].scores) == ("koilocyte?", (("ASC-H", 0.75),))

    @pytest.mark.parametrize(
        "sentence",
        [
            "1 circle read as an outline",
            "1 cell of several outlines (one group_id) read as the box around them",
            "1 line left out",
            "1 mask left out, since masks are not cells",
            "1 shape labelled as background or to be ignored left out",
            "1 turned box read as an outline",
        ],
    )
    def test_all_that_is_no_cell_is_counted(self, sentence: str) -> None:
        assert sentence in said(read("labelme", "labelme"))

    def test_images_beside_the_folder_of_labels_are_found(self, tmp_path: Path) -> None:
        for folder in ("labels", "images"):
            (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
        content = {"shapes": [], "imagePath": "..\\images\\a.png", "imageData": None}
        (tmp_path / "labels" / "a.json").write_text(json.dumps(content), encoding="utf-8")
        (slide,) = get_format("labelme").read(tmp_path / "labels").slides
        assert (slide.name, slide.size_hw, Path(slide.path)) == (
            "images/a.png",
            (48, 64),
            tmp_path / "images" / "a.png",
        )


class TestCvat:
    def test_shapes_classes_colours_and_sets(self) -> None:
        labels = read("cvat", "cvat")
        assert slides(labels) == [("patient_A/001.png", (480, 640), "train"), ("patient_B/001.png", (480, 640), "test")]
        assert cells(labels) == [
            (Box(20, 10, 60, 50), "HSIL"),
            (Box(70, 130, 150, 150), "HSIL"),
            (Polygon(((174.6447, 118.7868), (231.2132, 175.3553), (245.3553, 161.2132), (188.7868, 104.6447))), "HSIL"),
            (Polygon(((200, 300), (205, 340), (250, 320))), "LSIL"),
            (Box(200, 400, 230, 430), "LSIL"),
            (Point(400.25, 500.5), "LSIL"),
            (Point(410, 510), "LSIL"),
            ((90, 530, 110, 570), "HSIL"),
        ]
        assert labels.classes == ("LSIL", "HSIL")
        assert labels.colours == (("LSIL", "#33ddff"), ("HSIL", "#fa3253"))

    @pytest.mark.parametrize("what", ["polyline", "mask", "cuboid", "tag", "skeleton"])
    def test_what_is_no_cell_is_left_out_and_counted(self, what: str) -> None:
        assert f"1 {what} left out" in said(read("cvat", "cvat"))

    @pytest.mark.parametrize(
        "sentence",
        ["1 turned box read as an outline", "1 set of several points", "1 shape made by a model in CVAT"],
    )
    def test_what_is_read_otherwise_is_said(self, sentence: str) -> None:
        assert sentence in said(read("cvat", "cvat"))

    def test_video_is_refused_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.xml").write_text("<annotations><meta/><track id='0' label='x'/></annotations>", encoding="utf-8")
        with pytest.raises(FormatError, match="CVAT for video"):
            get_format("cvat").read(tmp_path / "a.xml")


class TestImageScope:
    def test_layers_are_classes(self) -> None:
        labels = read("imagescope", "imagescope")
        assert [(s.name, s.mpp, s.mpp_source) for s in labels.slides] == [("smear_4", 0.2525, "format")]
        assert cells(labels) == [
            (Polygon(((200, 100), (205, 140.5), (250, 120))), "HSIL"),
            (Box(20, 10, 60, 50), "HSIL"),
            ((200, 300, 220, 340), "HSIL"),
            (Point(300, 400), "NILM"),
            (Point(310, 410), "NILM"),
            (Box(400, 500, 420, 520), "LSIL"),
            (Box(400, 530, 420, 540), "unclassified"),
        ]
        assert labels.colours == (("HSIL", "#00ff00"), ("NILM", "#ff0000"))
        assert labels.annotations[0].note == "koilocyte?"

    @pytest.mark.parametrize(
        "sentence",
        [
            "1 negative region (cut out of others) left out",
            "1 ruler left out",
            "1 region on another focal plane than the first left out",
            "1 shape in layers without a name read as unclassified",
        ],
    )
    def test_all_that_is_no_cell_is_counted(self, sentence: str) -> None:
        assert sentence in said(read("imagescope", "imagescope"))

    def test_a_dotted_name_keeps_its_dots(self, tmp_path: Path) -> None:
        (tmp_path / "H23.0412.xml").write_text("<Annotations/>", encoding="utf-8")
        assert get_format("imagescope").read(tmp_path / "H23.0412.xml").slides[0].name == "H23.0412"


class TestVia:
    def test_a_project(self) -> None:
        labels = read("via", "via/project.json")
        assert [s.name for s in labels.slides] == ["field_1.png", "field_2.png"]
        assert cells(labels) == [
            (Box(20, 10, 60, 50), "HSIL"),
            ((195, 295, 205, 305), "NILM"),
            ((190, 380, 210, 420), "NILM"),
            (Point(400, 500), "unclassified"),
            (TRIANGLE, "LSIL"),
        ]
        assert "1 line left out" in said(labels)
        assert "1 region without a class read as unclassified" in said(labels)

    def test_annotations_alone_as_json_and_as_csv(self, tmp_path: Path) -> None:
        project = json.loads((GOLDEN / "via" / "project.json").read_text(encoding="utf-8"))
        (tmp_path / "a.json").write_text(json.dumps(project["_via_img_metadata"]), encoding="utf-8")
        assert cells(get_format("via").read(tmp_path / "a.json")) == cells(read("via", "via/project.json"))
        table = read("via", "via/annotations.csv")
        assert cells(table) == [(Box(20, 10, 60, 50), "HSIL"), (Point(400, 500), "NILM")]
        assert [s.name for s in table.slides] == ["field_1.png", "field_2.png"]

    def test_which_attribute_is_the_class_is_a_question_where_names_do_not_tell(self, tmp_path: Path) -> None:
        shape = {"name": "point", "cx": 1, "cy": 2}
        regions = [{"shape_attributes": shape, "region_attributes": {"grade": "HSIL", "sure": "yes"}}]
        (tmp_path / "a.json").write_text(json.dumps({"x": {"filename": "x.png", "regions": regions}}), encoding="utf-8")
        with pytest.raises(FormatError, match=r"grade \(1\), sure \(1\)"):
            get_format("via").read(tmp_path / "a.json")
        assert cells(get_format("via").read(tmp_path / "a.json", attribute="grade")) == [(Point(2, 1), "HSIL")]


class TestCocoResults:
    def test_numbers_are_explained_by_the_truth(self) -> None:
        truth = GOLDEN / "coco-results" / "truth.json"
        labels = read("coco-results", "coco-results/results.json", truth=truth)
        assert [s.name for s in labels.slides] == ["patient_A/001.png", "patient_B/001.png"]
        assert cells(labels) == [
            (Box(20, 10, 60, 50), "HSIL"),
            (Box(100, 100, 150, 140), "LSIL"),
            (Box(2.25, 1.5, 12.25, 11.5), "HSIL"),
        ]
        assert {a.status for a in labels.annotations} == {Status.UNREVIEWED}
        assert labels.annotations[0].scores == (("HSIL", 0.875),)
        assert "1 pose left out" in said(labels)
        assert "1 mask read as its box" in said(labels)

    def test_without_the_truth_it_is_requested(self) -> None:
        with pytest.raises(FormatError, match="--truth"):
            read("coco-results", "coco-results/results.json")


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - WRITTEN.keys()))
def test_formats_that_are_only_read_say_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="imported but not exported"):
        written_format(name)
    with pytest.raises(FormatError, match="imported but not exported"):
        get_format(name).write(LabelSet((), ()), tmp_path / "x")


def _many_bad_voc(path: Path) -> None:
    objects = "".join("<object><name>HSIL</name></object>" for _ in range(25))
    path.write_text(f"<annotation><filename>a.png</filename>{objects}</annotation>", encoding="utf-8")


def _many_bad_cvat(path: Path) -> None:
    boxes = "<box label='HSIL' xtl='5' ytl='5' xbr='5' ybr='9'/>" * 25
    path.write_text(
        f"<annotations><meta/><image name='a.png' width='9' height='9'>{boxes}</image></annotations>", encoding="utf-8"
    )


def _many_bad_labelme(path: Path) -> None:
    shapes = [{"label": "HSIL", "points": [[1, 2]], "shape_type": "polygon"}] * 25
    path.write_text(json.dumps({"shapes": shapes, "imagePath": "a.png"}), encoding="utf-8")


def _many_bad_scope(path: Path) -> None:
    regions = "<Region Type='1'><Vertices/></Region>" * 25
    path.write_text(
        f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>", encoding="utf-8"
    )


def _many_bad_via(path: Path) -> None:
    regions = [{"shape_attributes": {"name": "rect", "x": 1}, "region_attributes": {}}] * 25
    path.write_text(json.dumps({"a": {"filename": "a.png", "regions": regions}}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("voc", _many_bad_voc),
        ("cvat", _many_bad_cvat),
        ("labelme", _many_bad_labelme),
        ("imagescope", _many_bad_scope),
        ("via", _many_bad_via),
    ],
)
def test_all_bad_rows_are_listed_in_one_go(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.xml")
    with pytest.raises(FormatError, match=r"25 entries cannot be read") as caught:
        get_format(name).read(tmp_path / "a.xml")
    assert "... and 5 more." in str(caught.value)


@pytest.mark.parametrize(("name", "suffix"), [("voc", ".xml"), ("labelme", ".json"), ("imagescope", ".xml")])
def test_a_file_of_a_folder_that_cannot_be_read_is_named_and_may_be_skipped(
    name: str, suffix: str, tmp_path: Path
) -> None:
    good = next(p for p in sorted((GOLDEN / name).rglob(f"*{suffix}")))
    (tmp_path / good.name).write_bytes(good.read_bytes())
    (tmp_path / f"zz{suffix}").write_text("neither", encoding="utf-8")
    with pytest.raises(FormatError, match="zz"):
        get_format(name).read(tmp_path)
    labels = get_format(name).read(tmp_path, skip_bad=True)
    assert labels.annotations
    assert "1 entry could not be read" in said(labels)
    with pytest.raises(FormatError) as caught:
        get_format(name).read(tmp_path / f"zz{suffix}")
    assert "--skip-bad" not in str(caught.value)


@pytest.mark.parametrize("name", ["voc", "labelme", "imagescope"])
def test_a_disks_own_files_refuse_nothing(name: str, tmp_path: Path) -> None:
    for path in (GOLDEN / name).rglob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._a.xml").write_bytes(b"\x00\x05\x16\x07")
    assert len(get_format(name).read(tmp_path).annotations) == len(read(name, name).annotations)


def test_an_object_of_two_boxes_is_refused_since_one_would_be_lost(tmp_path: Path) -> None:
    corners = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax>"
    path = tmp_path / "a.xml"
    path.write_text(voc("a.png", box=f"{corners}</bndbox><bndbox>{corners}"), encoding="utf-8")
    with pytest.raises(FormatError, match="expected one bndbox"):
        read("voc", path)
