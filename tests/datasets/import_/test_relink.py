"""Promise: images find the slides that came with labels only or moved, and no other image is taken for one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from napari_cyto.cli.entry import run as main
from napari_cyto.datasets.import_.known_slides import How, slide_in
from napari_cyto.datasets.import_.relink import relink, slide_named
from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.store import Project


def png(path: Path, tint: int = 0, size_wh: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, (200, 180, tint)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of one slide that moved and two that came with labels only."""
    moved = record_of_file(png(tmp_path / "old" / "moved.png", 9))
    (tmp_path / "old").rename(tmp_path / "gone")
    with Project.create(tmp_path / "p.cyto", preset("apacc")) as project:
        project.add_slides([moved, SlideRecord(name="A/001.png", size_hw=(48, 64)), SlideRecord(name="B/001.png")])
    return tmp_path / "p.cyto"


def places(folder: Path) -> dict[str, str]:
    with Project.open(folder) as project:
        return {slide.name: slide.path for slide in project.slides()}


def test_all_are_found_below_a_folder(folder: Path, run, tmp_path: Path) -> None:
    for tint, who in enumerate("AB"):
        png(tmp_path / "im" / who / "001.png", tint)
    shutil.copyfile(tmp_path / "gone" / "moved.png", tmp_path / "im" / "A" / "renamed.PNG")
    ended = run(relink(folder, tmp_path / "im"))
    assert (ended.result["linked"], ended.result["still_missing"]) == (3, 0)
    found = {name: Path(path).relative_to(tmp_path / "im").as_posix() for name, path in places(folder).items()}
    assert found == {"moved.png": "A/renamed.PNG", "A/001.png": "A/001.png", "B/001.png": "B/001.png"}


def test_another_image_of_that_name_is_not_taken(folder: Path, run, tmp_path: Path) -> None:
    png(tmp_path / "im" / "moved.png", 77)
    png(tmp_path / "im" / "A" / "001.png", size_wh=(30, 30))
    ended = run(relink(folder, tmp_path / "im"))
    assert (ended.result["linked"], ended.result["still_missing"]) == (0, 3)
    said = " ".join(ended.notes)
    assert "moved.png has the name of moved.png, but is not the image that was annotated" in said
    assert "30 x 30" in said
    with pytest.raises(CytoError, match="its content differs"):
        raise CytoError(run(relink(folder, named={"moved.png": tmp_path / "im" / "moved.png"})).refusal)


def test_the_verb_names_a_slide_and_its_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = png(tmp_path / "im" / "x.png", 3)
    assert main(["relink", str(folder), "--slide", f"B/001.png={image}"]) == 0
    assert places(folder)["B/001.png"] == str(image)
    assert main(["relink", str(folder), "--slide", f"A/001.png={image}"]) == 2
    assert "is already the image of B/001.png" in capsys.readouterr().err
    assert main(["relink", str(folder)]) == 2
    assert main(["relink", str(folder), "--slide", "nonsense"]) == 2


def test_a_name_that_may_be_several_slides_is_a_question(folder: Path) -> None:
    with Project.open(folder) as project:
        assert slide_named(project, "A/001").name == "A/001.png"
        with pytest.raises(CytoError, match="matches 2 slides"):
            slide_named(project, "001.png")
        with pytest.raises(CytoError, match="got 'mov"):
            slide_named(project, "mov")


def test_a_file_at_its_new_place_is_the_slide_that_moved(folder: Path, tmp_path: Path) -> None:
    with Project.open(folder) as project:
        found = slide_in(project, record_of_file(tmp_path / "gone" / "moved.png"))
        assert found is not None
        assert (found.slide.name, found.how) == ("moved.png", How.MOVED)
        assert slide_in(project, record_of_file(png(tmp_path / "new.png", 123))) is None
