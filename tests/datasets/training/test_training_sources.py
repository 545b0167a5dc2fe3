"""Sources of training data: the text that names one, and what each kind of folder gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.training.scheme import named_scheme, scheme_name_for, scheme_name_of
from napari_cyto.datasets.training.sources import KINDS, SourceSpec, parse_source
from napari_cyto.datasets.training.training_set import TrainingSet, read_training_set
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import CellClass, ClassScheme
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError, SchemeError
from napari_cyto.store import Project

CRIC_HEAD = "image,width,height,px_per_cric_px,image_id,cell_id,bethesda,x,y\n"
WORDS = st.text(st.characters(categories=("L", "N")) | st.sampled_from(" -_.ü"), min_size=1, max_size=12).map(str.strip)


@given(
    kind=st.sampled_from(KINDS),
    folder=st.lists(WORDS.filter(bool), min_size=1, max_size=3),
    mpp=st.none() | st.floats(0.05, 20),
    name=st.just("") | st.sampled_from(["herlev", "own.yaml"]),
    pairs=st.dictionaries(WORDS.filter(lambda w: w and w not in ("mpp", "map", "smear")), WORDS, max_size=3),
    smear=st.just("") | st.just(r"(\d+)-"),
)
def test_a_source_is_read_back_from_its_own_text(kind, folder, mpp, name, pairs, smear) -> None:
    path = Path("nowhere", *folder)
    assume(not path.exists())
    spec = SourceSpec(kind, path, tuple(pairs.items()), mpp, name, smear)
    assert parse_source(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cric:data/cric", SourceSpec("cric", Path("data/cric"))),
        ("apacc:slices@0.25", SourceSpec("apacc", Path("slices"), mpp=0.25)),
        ("folders:h@mpp=.201,map=herlev", SourceSpec("folders", Path("h"), mpp=0.201, map_name="herlev")),
        ("folders:h@a=NILM,b=", SourceSpec("folders", Path("h"), (("a", "NILM"), ("b", "")))),
        ("study.cyto", SourceSpec("project", Path("study.cyto"))),
        ("project:study.cyto", SourceSpec("project", Path("study.cyto"))),
        ("me@home/study.cyto", SourceSpec("project", Path("me@home/study.cyto"))),
        ("cric:me@home", SourceSpec("cric", Path("me@home"))),
        (r"C:\data\study.cyto", SourceSpec("project", Path(r"C:\data\study.cyto"))),
        (r"apacc:C:\data\trée@0.5", SourceSpec("apacc", Path(r"C:\data\trée"), mpp=0.5)),
    ],
)
def test_texts_and_what_they_mean(text: str, expected: SourceSpec) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cric:", "a source with a folder"),
        ("", "a source with a folder"),
        ("apacc:x@900", "expected 0.05 to"),
        ("apacc:x@mpp=fast", "expected a number"),
        ("folders:x@a=NILM,a=HSIL", "each option once"),
        ("folders:x@smear=(", "Expected a regular expression"),
        ("folders:x@smear=abc", "with a group"),
    ],
)
def test_wrong_texts_are_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(CytoError, match=sentence):
        parse_source(text)


def test_a_folder_with_an_at_in_its_name_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "slides@40"
    folder.mkdir()
    assert parse_source(f"cric:{folder}") == SourceSpec("cric", folder)


def image(path: Path, size_hw: tuple[int, int] = (40, 60), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, *path.name.encode()])
    Image.fromarray(rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8)).save(path)
    return path


def cric(folder: Path, rows: str, images: tuple[str, ...] = ("a.png", "b.png")) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name in images:
        image(folder / "images" / name)
    (folder / "cells.csv").write_text(CRIC_HEAD + rows, encoding="utf-8")
    return f"cric:{folder}"


def by_name(data: TrainingSet) -> dict[str, tuple[list, list[str]]]:
    return {s.name: (s.centres_yx.tolist(), [data.classes[i] for i in s.class_index]) for s in data.slides}


def test_cric_gives_points_with_their_scale(tmp_path: Path) -> None:
    rows = "a.png,60,40,0.5,1,1,NILM,10.5,20.25\na.png,60,40,0.5,1,2,HSIL,30,5\nb.png,60,40,1,2,3,NILM,1,2\n"
    data = read_training_set([cric(tmp_path / "Übung 一", rows)])
    assert data.classes == ("NILM", "HSIL")
    assert by_name(data) == {
        "a.png": ([[20.25, 10.5], [5, 30]], ["NILM", "HSIL"]),
        "b.png": ([[2, 1]], ["NILM"]),
    }
    a = next(s for s in data.slides if s.name == "a.png")
    assert (a.mpp, a.size_hw, a.centred) == (pytest.approx(0.456), (40, 60), False)
    assert np.isnan(a.boxes_yxyx).all()
    assert data.counts() == {"NILM": 2, "HSIL": 1}
    assert data.counts([a.key]) == {"NILM": 1, "HSIL": 1}


def test_images_that_are_missing_are_left_out_with_one_remark(tmp_path: Path) -> None:
    rows = "a.png,60,40,1,1,1,NILM,10,20\ngone.png,60,40,1,2,2,NILM,3,5\nlost.png,60,40,1,3,3,HSIL,3,5\n"
    data = read_training_set([cric(tmp_path / "c", rows, ("a.png",))])
    assert [s.name for s in data.slides] == ["a.png"]
    assert len(data.remarks) == 1
    assert "2 slides of" in data.remarks[0]
    assert "gone.png" in data.remarks[0]


def test_nothing_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CytoError, match=r"Expected annotated cells.*image file is missing"):
        read_training_set([cric(tmp_path / "c", "gone.png,60,40,1,2,2,NILM,3,5\n", ())])
    with pytest.raises(CytoError, match="at least one source"):
        read_training_set([])


def test_cells_outside_their_slide_are_counted(tmp_path: Path) -> None:
    data = read_training_set([cric(tmp_path / "c", "a.png,60,40,1,1,1,NILM,10,20\na.png,60,40,1,1,2,NILM,61,20\n")])
    assert data.counts() == {"NILM": 1}
    assert data.remarks == ("1 cell centred outside the slide, left out.",)


def class_folders(root: Path, classes: dict[str, int], side: str = "") -> Path:
    for n, (name, count) in enumerate(classes.items()):
        for i in range(count):
            image(root / side / name / f"{n}00-{i // 2}-{i}.png", (30 + i, 41), seed=len(side))
    return root


def test_class_folders_are_cells_in_the_middle_of_their_image(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "f", {"NILM": 2, "HSIL": 1})
    data = read_training_set([f"folders:{root}@0.2"])
    assert data.counts() == {"NILM": 2, "HSIL": 1}
    for slide in data.slides:
        assert slide.centred
        assert slide.mpp == 0.2
        assert slide.centres_yx.tolist() == [[slide.size_hw[0] / 2, slide.size_hw[1] / 2]]


def test_herlevs_folders_are_recognised_with_scale_smear_and_classes(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "h", {"normal_columnar": 2, "light_dysplastic": 2}, "train")
    class_folders(tmp_path / "h", {"severe_dysplastic": 2, "carcinoma_in_situ": 1}, "validation")
    data = read_training_set([f"folders:{root}"])
    assert data.counts() == {"NILM": 2, "LSIL": 2, "HSIL": 3}
    assert {s.mpp for s in data.slides} == {0.201}
    assert {s.smear for s in data.slides} == {"000", "100"}
    assert sorted(s.side for s in data.slides) == ["train"] * 4 + ["validation"] * 3
    assert list(data.maps.values()) == ["herlev to bethesda, version 1"]
    assert read_training_set([f"folders:{root}"], "apacc").counts() == {"healthy": 2, "unhealthy": 5}
    assert read_training_set([f"folders:{root}@map=herlev"], "bethesda-4").classes == ("NILM", "LSIL", "HSIL")


@pytest.mark.parametrize("options", ["", "@0.2", "@smear=(x)"])
def test_what_is_to_be_said_behind_a_source_works_as_typed(tmp_path: Path, options: str) -> None:
    root = class_folders(tmp_path / "f", {"round": 1, "square": 1, "NILM": 1})
    with pytest.raises(SchemeError) as caught:
        read_training_set([f"folders:{root}{options}"])
    renamed, left_out = [word for word in str(caught.value).split() if "=" in word and "round" in word][-2:]
    assert read_training_set([renamed]).counts() == {"NILM": 3}
    assert read_training_set([left_out]).counts() == {"NILM": 1}


def test_folders_without_counterpart_are_all_listed_and_none_dropped(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "f", {"round": 1, "square": 1, "NILM": 1})
    with pytest.raises(SchemeError, match=r"round, square.*@round=NILM"):
        read_training_set([f"folders:{root}"])
    data = read_training_set([f"folders:{root}@round=HSIL,square="])
    assert data.counts() == {"NILM": 1, "HSIL": 1}
    assert data.remarks == ("1 cell of class square left out, as requested.",)
    with pytest.raises(SchemeError, match="leads to XYZ"):
        read_training_set([f"folders:{root}@round=XYZ,square="])
    own = tmp_path / "own.yaml"
    own.write_text("round: LSIL\nsquare: SCC\nNILM: NILM\n", encoding="utf-8")
    assert read_training_set([f"folders:{root}@map={own}"]).classes == ("NILM", "LSIL", "SCC")
    with pytest.raises(SchemeError, match=r"built-in .from .*herlev"):
        read_training_set([f"folders:{root}@map=unknown"])


def test_a_pattern_names_the_smear_of_class_folders(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "f", {"NILM": 5})
    data = read_training_set([rf"folders:{root}@0.2,smear=^\d+-(\d+)-"])
    assert {s.smear for s in data.slides} == {"0", "1", "2"}


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CytoError, match="Expected one folder per class"):
        read_training_set([f"folders:{tmp_path / 'empty'}"])
    with pytest.raises(CytoError, match="Expected a folder with one folder per class"):
        read_training_set([f"folders:{tmp_path / 'nowhere'}"])
    with pytest.raises(CytoError, match="Expected a project"):
        read_training_set([f"{tmp_path / 'empty'}"])


def test_broken_images_and_other_kinds_are_reported(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "f", {"NILM": 1})
    (root / "NILM" / "broken.png").write_bytes(b"no picture")
    image(root / "NILM" / "other.webp")
    data = read_training_set([f"folders:{root}@0.2"])
    assert len(data.slides) == 1
    assert any("broken.png" in r and "left out" in r for r in data.remarks)
    assert any(".webp" in r for r in data.remarks)


def test_what_a_card_tells_of_the_data_names_no_folder_above_it(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "crops", {"NILM": 3, "HSIL": 3})
    (root / "NILM" / "broken.png").write_bytes(b"no picture")
    image(tmp_path / "x.png").rename(root / "HSIL" / "x.webp")
    pairs = tmp_path / "ours.yaml"
    pairs.write_text("NILM: NILM\nHSIL: HSIL\n")
    result = read_training_set([f"folders:{root}@map={pairs}"]).describe()
    assert "broken.png" in str(result["remarks"])
    assert result["sources"][0]["source"] == "folders:crops@map=ours.yaml"
    assert str(tmp_path) not in json.dumps(result)


@pytest.fixture
def study(tmp_path: Path, make_project: Callable[..., object]) -> Path:
    """A project with cells of each status, a region, a slide taken out, and one whose file is gone."""
    made = make_project("study", slides=4, cells=6, scheme="bethesda", patient=["p1", "p2", "p3", "p4"])
    with Project.open(made.folder) as project:
        slide = made.slides[0]
        more = [
            Annotation(slide_id=slide.id, geometry=Point(10, 20), class_id="SCC", status=Status.UNREVIEWED),
            Annotation(slide_id=slide.id, geometry=Point(11, 20), class_id="SCC", status=Status.REJECTED),
            Annotation(slide_id=slide.id, geometry=Point(12.5, 20.5), class_id="HSIL"),
            Annotation(slide_id=slide.id, geometry=Polygon(((0, 0), (0, 50), (50, 50))), class_id=None),
            Annotation(slide_id=slide.id, geometry=Polygon(((60, 60), (60, 90), (80, 80))), class_id="HSIL"),
        ]
        project.apply(add(more, "more"), "me")
        project.add_slides([replace(slide, id="0" * 32, name="bare.png", path=slide.path)])
        project.remove_slide("0" * 32)
    Path(made.slides[3].path).unlink()
    return made.folder


def test_a_project_gives_accepted_cells_and_exhaustive_regions(study: Path) -> None:
    data = read_training_set([str(study)])
    assert sorted(s.patient for s in data.slides) == ["p1", "p2", "p3"]
    assert sum(data.counts().values()) == 3 * 6 + 2
    assert "SCC" not in data.classes
    first = next(s for s in data.slides if s.patient == "p1")
    assert [len(r.vertices_yx) for r in first.regions] == [3]
    boxes = first.boxes_yxyx
    assert np.isnan(boxes[6]).all()
    assert first.centres_yx[6].tolist() == [12.5, 20.5]
    assert boxes[7].tolist() == [60, 60, 80, 90]
    assert not np.isnan(boxes[:6]).any()
    assert len(data.remarks) == 1
    assert "image file is missing" in data.remarks[0]


def own_scheme(study: Path, name: str) -> ClassScheme:
    """Give the project a scheme of its own: Bethesda's classes with one more, at the first slide."""
    known = preset("bethesda").classes
    scheme = ClassScheme(name, 3, (*known, CellClass("CANDIDA", "Candida", "#8844aa")))
    with Project.open(study) as project:
        project.set_scheme(scheme)
        slide = project.slides()[0]
        project.apply(add([Annotation(slide_id=slide.id, geometry=Point(30, 40), class_id="CANDIDA")], "one"), "me")
    return scheme


@pytest.mark.parametrize("name", ["our laboratory", "bethesda"])
def test_a_project_with_a_scheme_of_its_own_is_read_in_it(study: Path, tmp_path: Path, name: str) -> None:
    scheme = own_scheme(study, name)
    table = cric(tmp_path / "c", "a.png,60,40,1,1,1,ASC-H,10,20\n")
    data = read_training_set([table, str(study)])
    assert data.scheme == scheme
    assert (data.counts()["CANDIDA"], data.counts()["ASC-H"]) == (1, 1)
    with Project.open(study) as project:
        assert scheme_name_of(project) == str(study)
    assert named_scheme(str(study)) == scheme
    with pytest.raises(SchemeError, match="CANDIDA"):
        read_training_set([str(study)], "bethesda")


def test_sources_go_by_bethesda_or_by_the_first_project(tmp_path: Path, make_project: Callable[..., object]) -> None:
    first = make_project("first", slides=1, cells=3, scheme="apacc").folder
    second = make_project("second", slides=1, cells=3, scheme="bethesda").folder
    table = cric(tmp_path / "c", "a.png,60,40,1,1,1,ASC-H,10,20\n")
    assert read_training_set([table]).scheme == preset("bethesda")
    assert scheme_name_for([parse_source(table), parse_source(str(second)), parse_source(str(first))]) == "bethesda"
    assert read_training_set([str(first)]).scheme == preset("apacc")


def test_sources_are_joined_in_one_scheme(study: Path, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "h", {"normal_columnar": 3, "severe_dysplastic": 2})
    table = cric(tmp_path / "c", "a.png,60,40,1,1,1,ASC-H,10,20\n")
    data = read_training_set([str(study), f"folders:{root}", table])
    assert {s.source for s in data.slides} == {str(study), f"folders:{root}", table}
    assert data.counts()["ASC-H"] == 1
    four = read_training_set([str(study), f"folders:{root}", table], "bethesda-4")
    assert set(four.classes) <= set(preset("bethesda-4").ids)
    assert sum(four.counts().values()) == sum(data.counts().values())
    described = json.loads(json.dumps(data.describe()))
    assert described["cells"] == data.counts()
    assert str(tmp_path) not in json.dumps(described["sources"])


def test_a_cell_that_two_sources_have_is_taken_once(study: Path) -> None:
    once, twice = read_training_set([str(study)]), read_training_set([str(study), f"{study}@SCC=HSIL"])
    assert twice.counts() == once.counts()
    assert any("in two sources, taken once" in r for r in twice.remarks)
    assert twice.fingerprint == once.fingerprint


def test_published_slices_need_a_scale_and_keep_their_sets(tmp_path: Path) -> None:
    for side, x, size in (("train", 0, 2000), ("test", 2000, 2000), ("test", 4000, 200)):
        image(tmp_path / "t" / side / f"7_{x}_0.png", (size, size))
        (tmp_path / "t" / side / f"7_{x}_0.txt").write_text("2 0.5 0.25 0.01 0.02\n", encoding="utf-8")
    source = f"apacc:{tmp_path / 't'}"
    data = read_training_set([source], "apacc")
    assert {s.mpp for s in data.slides} == {None}
    assert {s.smear for s in data.slides} == {"7"}
    assert sorted(s.side for s in data.slides) == ["test", "train"]
    assert data.slides[0].centres_yx.tolist() == [[500, 1000]]
    assert any("7_4000_0" in r and "200 x 200" in r for r in data.remarks), "labels of a picture of another size"
    assert {s.mpp for s in read_training_set([f"{source}@0.25"], "apacc").slides} == {0.25}
    with pytest.raises(SchemeError, match="unhealthy"):
        read_training_set([source], "bethesda")
    assert read_training_set([f"{source}@unhealthy=HSIL"], "bethesda").counts() == {"HSIL": 2}


def test_two_sources_of_one_image_make_one_slide(tmp_path: Path) -> None:
    one = cric(tmp_path / "one", "a.png,60,40,1,1,1,NILM,10,20\n", ("a.png",))
    two = cric(tmp_path / "two", "a.png,60,40,1,1,1,LSIL,10,20\na.png,60,40,1,1,2,HSIL,30,5\n", ("a.png",))
    data = read_training_set([one, two])
    assert by_name(data) == {"a.png": ([[20, 10], [5, 30]], ["NILM", "HSIL"])}
    assert any("with different classes; the class of the first source was taken" in r for r in data.remarks)


def test_classes_that_a_model_lacks_are_refused_and_those_it_has_are_counted(tmp_path: Path) -> None:
    table = cric(tmp_path / "c", "a.png,60,40,1,1,1,NILM,10,20\na.png,60,40,1,1,2,SCC,30,5\n")
    data = read_training_set([table], classes=("SCC", "HSIL", "NILM"))
    assert data.counts() == {"SCC": 1, "HSIL": 0, "NILM": 1}
    with pytest.raises(CytoError, match="got SCC too"):
        read_training_set([table], classes=("NILM", "HSIL"))


def test_the_fingerprint_knows_data_not_places_or_order(tmp_path: Path, study: Path) -> None:
    rows = ["a.png,60,40,1,1,1,NILM,10,20\n", "b.png,60,40,1,2,2,SCC,30,5\n", "a.png,60,40,1,1,3,HSIL,5,5\n"]
    one = cric(tmp_path / "one", "".join(rows))
    two = cric(tmp_path / "elsewhere" / "zwei", "".join(rows[::-1]))
    folders = f"folders:{class_folders(tmp_path / 'f', {'NILM': 2})}@0.2"
    first = read_training_set([one, folders])
    assert read_training_set([folders, two]).fingerprint == first.fingerprint
    assert [s.key for s in read_training_set([folders, two]).slides] == [s.key for s in first.slides]
    moved = cric(tmp_path / "moved", "".join(rows).replace("30,5", "30,5.5"))
    renamed = cric(tmp_path / "renamed", "".join(rows).replace("SCC", "LSIL"))
    assert len({read_training_set([s]).fingerprint for s in (one, moved, renamed)}) == 3
    boxes = read_training_set([str(study)])
    changed = replace(boxes.slides[0], boxes_yxyx=boxes.slides[0].boxes_yxyx + 1)
    assert TrainingSet(boxes.scheme, boxes.classes, (changed, *boxes.slides[1:])).fingerprint != boxes.fingerprint


def test_a_box_is_its_bounds(tmp_path: Path, make_project: Callable[..., object]) -> None:
    made = make_project("boxes", slides=1, cells=3)
    data = read_training_set([str(made.folder)], "apacc")
    expected = [c.geometry.bounds_yxyx for c in made.cells if isinstance(c.geometry, Box)]
    assert data.slides[0].boxes_yxyx.tolist() == [list(b) for b in expected]


@pytest.mark.shared
def test_real_cric_and_herlev_join(shared: Path) -> None:
    data = read_training_set([f"cric:{shared / 'cric'}", f"folders:{shared / 'herlev'}"])
    assert data.counts() == {"NILM": 3501, "ASC-US": 290, "LSIL": 568, "ASC-H": 63, "HSIL": 710, "SCC": 61}
    assert len(data.slides) == 175 + 917
    assert data.remarks == ()
