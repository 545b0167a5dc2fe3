"""Guards the extraction without a model: crops with the collection's names, predictions, and all that is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.presets import preset
from napari_cyto.formats.apacc.names import parse_crop_name
from napari_cyto.inference.extract.extraction import Extraction
from napari_cyto.inference.extract.job import extract
from napari_cyto.inference.extract.options import ExtractRequest, MaskOf
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Failed
from napari_cyto.store import Project

MPP = 0.5
CELLS_YX = [(300, 300), (300, 700), (700, 1100), (1000, 400), (1990, 900), (2200, 300)]


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with six stained discs of 20 µm radius, one across the border of two slices, and a speck."""
    y, x = np.mgrid[:2400, :1400]
    rgb = np.full((2400, 1400, 3), (238, 240, 243), np.uint8)
    for cy, cx in CELLS_YX:
        rgb[(y - cy) ** 2 + (x - cx) ** 2 < 40**2] = (120, 150, 190)
    rgb[600:604, 600:604] = (120, 150, 190)
    path = tmp_path_factory.mktemp("smear") / "Łódź smear.png"
    Image.fromarray(rgb).save(path)
    return path


def last(request: ExtractRequest, token: CancelToken | None = None) -> object:
    return list(extract(request, token))[-1]


def made(request: ExtractRequest) -> Extraction:
    done = last(request)
    assert isinstance(done, Done), done
    return done.result


def request(smear: Path, out: Path, **given: object) -> ExtractRequest:
    return ExtractRequest(slides=(smear,), out=out, mask=MaskOf.STAIN, **({"mpp": MPP} | given))


def test_crops_are_whole_cells_with_the_names_of_the_collection(smear: Path, tmp_path: Path) -> None:
    result = made(request(smear, tmp_path / "crops"))
    files = sorted((tmp_path / "crops" / "unlabelled").glob("*.png"))
    assert result.cells == len(files) == len(CELLS_YX)
    assert result.done[0].clipped == 1, "the cell across the border loses a part, which is counted"
    middles = []
    for file in files:
        name, crop = parse_crop_name(file.name), np.asarray(Image.open(file))
        middles.append((name.y0 + name.y, name.x0 + name.x))
        assert crop.shape[1] == pytest.approx(80 + 2 * 6, abs=6)
        assert (crop[..., 0] < 180).mean() > 0.5
    nearest = [min(np.hypot(y - cy, x - cx) for y, x in middles) for cy, cx in CELLS_YX]
    assert max(nearest) < 25
    assert sorted(nearest)[-2] < 3, "only the clipped one is off its middle"


def test_predictions_wait_for_review_and_none_is_stored_twice(smear: Path, tmp_path: Path) -> None:
    out = tmp_path / "smear.cyto"
    assert made(request(smear, out)).done[0].written == len(CELLS_YX)
    again = made(request(smear, out)).done[0]
    assert (again.written, again.there_before) == (0, len(CELLS_YX))
    with Project.open(out) as project:
        cells = list(project.annotations())
        assert {(c.class_id, c.status) for c in cells} == {("rubbish", Status.UNREVIEWED)}
        assert project.undo("user") is not None
        assert not list(project.annotations())


def test_a_region_holds_for_the_middle_of_each_cell(smear: Path, tmp_path: Path) -> None:
    result = made(request(smear, tmp_path / "some", region_yxyx=(0.0, 0.0, 800.0, 900.0)))
    assert result.cells == 2


def test_what_is_ambiguous_or_missing_is_refused_in_a_sentence(smear: Path, tmp_path: Path) -> None:
    no_mpp = last(request(smear, tmp_path / "a", mpp=None))
    assert isinstance(no_mpp, Failed)
    assert "µm per px" in no_mpp.message
    assert not (tmp_path / "a").exists()
    Project.create(tmp_path / "b.cyto", preset("ki67")).close()
    no_class = last(request(smear, tmp_path / "b.cyto"))
    assert isinstance(no_class, Failed)
    assert "--class-id" in no_class.message
    there = tmp_path / "c"
    there.mkdir()
    (there / "mine.txt").write_text("kept", encoding="utf-8")
    assert isinstance(last(request(smear, there)), Failed)
    assert (there / "mine.txt").read_text(encoding="utf-8") == "kept"


def test_cancelling_leaves_no_half_folder(smear: Path, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    assert isinstance(last(request(smear, tmp_path / "crops"), token), Cancelled)
    assert not (tmp_path / "crops").exists()


def test_a_slide_that_cannot_be_read_is_named_and_the_others_are_done(smear: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"no slide")
    both = ExtractRequest(slides=(broken, smear), out=tmp_path / "crops", mask=MaskOf.STAIN, mpp=MPP)
    result = made(both)
    assert [Path(each.slide).name for each in result.left_out] == ["broken.svs"]
    assert result.cells == len(CELLS_YX)
