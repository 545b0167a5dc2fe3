"""Guards that every kind of slide opens with true metadata, and that the rest are refused in one sentence."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from napari_cyto.errors import SlideError
from napari_cyto.slides import open_slide

REAL = ["CMU-1-Small-Region.svs", "tcga_two_levels_no_mpp.svs", "generic_six_levels_odd_mpp.tiff", "cric_fields.mrxs"]


@pytest.mark.shared
@pytest.mark.parametrize("name", [*REAL, "dicom"])
def test_pixels_are_those_of_openslide(shared: Path, name: str) -> None:
    with open_slide(shared / "slides" / name) as slide, openslide.OpenSlide(slide.info.path) as reference:
        assert slide.info.downsamples == reference.level_downsamples
        for level, (w, h) in enumerate(reference.level_dimensions):
            expected = np.asarray(reference.read_region((0, 0), level, (w, h)))[..., :3]
            np.testing.assert_array_equal(slide.read_region(level, 0, 0, h, w), expected)
        assert slide.unreadable == ()


@pytest.mark.shared
def test_metadata_of_real_slides(shared: Path) -> None:
    with open_slide(shared / "slides" / "cric_fields.mrxs") as slide:
        info = slide.info
        assert (info.vendor, info.size_hw, info.mpp, info.objective) == ("mirax", (2816, 5376), 0.228, 40.0)
    with open_slide(shared / "slides" / "generic_six_levels_odd_mpp.tiff") as slide:
        assert slide.info.mpp is None
        assert "896" in slide.info.mpp_rejected
        assert slide.info.downsamples[3] == pytest.approx(8.012820512820513)
        assert slide.info.factors_yx[3] == (8.0, 8.0)
    with open_slide(shared / "slides" / "CMU-1-Small-Region.svs") as slide:
        assert slide.info.associated == ("label", "macro", "thumbnail")
        assert slide.associated("label").shape == (463, 387, 3)
        with pytest.raises(SlideError, match="no image called 'nose'; it has label, macro, thumbnail"):
            slide.associated("nose")
    with open_slide(shared / "slides" / "tcga_two_levels_no_mpp.svs") as slide:
        assert slide.info.mpp is None
        assert slide.info.icc is not None


def test_another_process_opens_it_again(pyramid_path: Path) -> None:
    with open_slide(pyramid_path) as slide, pickle.loads(pickle.dumps(slide)) as again:
        assert again.info.path == slide.info.path


def test_beyond_the_slide_is_background(plain_path: Path, paint) -> None:
    with open_slide(plain_path) as slide:
        region = slide.read_region(0, -10, 400, 30, 20)
        assert (region[:10] == 255).all()
        assert (region[:, 7:] == 255).all()
        np.testing.assert_array_equal(region[10:, :7], paint(20, 7, 0, 400))
        np.testing.assert_array_equal(slide.read_level0((-0.4, 0.0, 9.6, 5.0)), paint(10, 5))
        assert slide.read_region(0, 5000, 5000, 3, 3).min() == 255


def test_asking_for_nonsense_is_refused(plain_path: Path) -> None:
    slide = open_slide(plain_path)
    with pytest.raises(SlideError, match="Expected a level from 0 to 0"):
        slide.read_region(1, 0, 0, 5, 5)
    with pytest.raises(SlideError, match="region of 0 px or more"):
        slide.read_region(0, 0, 0, -5, 5)
    slide.close()
    with pytest.raises(SlideError, match="is closed"):
        slide.read_region(0, 0, 0, 5, 5)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_fields_of_a_camera(tmp_path: Path, suffix: str, paint) -> None:
    path = tmp_path / f"field.{suffix}"
    Image.fromarray(paint(120, 200)).save(path, dpi=(300, 300))
    with open_slide(path) as slide:
        assert (slide.info.size_hw, slide.info.levels, slide.info.mpp) == ((120, 200), 1, None)
        assert np.abs(slide.read_region(0, 0, 0, 120, 200).astype(int) - paint(120, 200)).mean() < 3


@pytest.mark.parametrize(
    ("mode", "fill", "expected"),
    [
        ("L", 90, (90, 90, 90)),
        ("RGBA", (9, 9, 9, 0), (255, 255, 255)),
        ("I;16", 0x4100, (65, 65, 65)),
        ("1", 1, (255,) * 3),
    ],
)
def test_other_pixels_than_rgb(tmp_path: Path, mode: str, fill: object, expected: tuple[int, ...]) -> None:
    path = tmp_path / "odd.png"
    Image.new(mode, (8, 8), fill).save(path)
    with open_slide(path) as slide:
        assert tuple(slide.read_region(0, 0, 0, 8, 8)[3, 3]) == expected


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"gone\.svs does not exist in"):
        open_slide(tmp_path / "gone.svs")


def test_no_slide(tmp_path: Path) -> None:
    path = tmp_path / "letter.svs"
    path.write_text("Dear pathologist")
    with pytest.raises(SlideError, match=r"letter\.svs is not a slide or image that can be read"):
        open_slide(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "void.svs"
    path.touch()
    with pytest.raises(SlideError, match=r"void\.svs is empty"):
        open_slide(path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.svs"
    path.write_bytes(b"II*\x00")

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SlideError, match=r"locked\.svs may not be read: you have no permission"):
        open_slide(path)


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "smear").mkdir()
    with pytest.raises(SlideError, match="smear is a folder, but a slide file was expected; open the slide file"):
        open_slide(tmp_path / "smear")
    (tmp_path / "smear.mrxs").touch()
    with pytest.raises(SlideError, match=r"open smear\.mrxs beside it"):
        open_slide(tmp_path / "smear")


@pytest.mark.parametrize(
    "start", [b"II*\x00" + b"\xff" * 60, b"MM\x00*\x00\x00\x00\x08", b"\x89PNG\r\n", b"\xff\xd8\xff\xe0"]
)
def test_cut_off_files(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "cut.tif"
    path.write_bytes(start)
    with pytest.raises(SlideError, match=r"cut\.tif"):
        open_slide(path)


def test_mirax_without_folder(tmp_path: Path) -> None:
    path = tmp_path / "smear.mrxs"
    path.touch()
    with pytest.raises(SlideError, match=r"smear\.mrxs is a MIRAX slide without its folder: smear/"):
        open_slide(path)
    (tmp_path / "smear").mkdir()
    with pytest.raises(SlideError, match=r"folder smear/ lacks Slidedat\.ini"):
        open_slide(path)


@pytest.mark.shared
@pytest.mark.parametrize("gone", ["Data0000.dat", "Index.dat"])
def test_mirax_with_a_file_gone(shared: Path, tmp_path: Path, gone: str) -> None:
    (tmp_path / "cric_fields.mrxs").touch()
    shutil.copytree(shared / "slides" / "cric_fields", tmp_path / "cric_fields", copy_function=shutil.copyfile)
    (tmp_path / "cric_fields").chmod(0o755)
    (tmp_path / "cric_fields" / gone).unlink()
    with pytest.raises(SlideError, match=rf"cric_fields\.mrxs .* lacks {gone}"):
        open_slide(tmp_path / "cric_fields.mrxs")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "says"), [("broken.svs", "not a slide or image"), ("unopenable.tiff", "compression 52479")]
)
def test_bad_real_files(shared: Path, name: str, says: str) -> None:
    with pytest.raises(SlideError, match=f"{name}.*{says}"):
        open_slide(shared / "slides" / "bad" / name)
