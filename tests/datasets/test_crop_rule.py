"""The crop rule: what training cuts is what inference cuts, to the byte; centred, padded, never stretched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.datasets.training.crop_cache import CropSet, cut_all
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import CancelToken, Noted
from napari_cyto.slides import open_slide
from napari_cyto.slides._tile_cache import TileCache, shared_cache
from napari_cyto.slides.image_backend import ImageBackend
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.tiff_writer import write_pyramid


def run(steps) -> tuple[CropSet, list]:
    said = []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            return end.value, said


def training_slide(path: Path, centres, mpp: float | None = 0.25, key: str = "") -> TrainingSlide:
    centres = np.array(centres, dtype=np.float64).reshape(-1, 2)
    boxes = np.full((len(centres), 4), np.nan)
    classes = np.arange(len(centres), dtype=np.intp) % 2
    with Image.open(path) as image:
        size_hw = (image.height, image.width)
    return TrainingSlide(key or path.stem, str(path), path.name, mpp, "", "", "test", centres, boxes, classes, size_hw)


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def shown_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixels") / "Färbung übersicht 顕微鏡.png"
    Image.fromarray(textured(400, 500)).save(path)
    return path


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixels") / "pyramid.tif"
    pixels = textured(1500, 1800, 1)
    write_pyramid(path, pixels.shape[:2], lambda y0, x0, h, w: pixels[y0 : y0 + h, x0 : x0 + w], mpp=0.25)
    return path


CENTRES = [(200.0, 250.0), (3.25, 4.75), (399.5, 499.5), (120.3, 7.9), (250.01, 333.33)]


@pytest.mark.parametrize("rule", [CropRule(), CropRule(windows=(51.2, 102.4), size_px=64), CropRule(unit="px")])
def test_training_and_inference_cut_the_same_bytes(shown_image: Path, rule: CropRule) -> None:
    if rule.unit == "px":
        rule = rule.model_copy(update={"windows": (90.0,)})
    made, _ = run(cut_all([training_slide(shown_image, CENTRES)], rule))
    shared_cache().clear()
    for n, centre in enumerate(CENTRES):
        # One cell at a time, on a freshly opened slide that keeps no tile.
        with Slide(ImageBackend(shown_image), TileCache(0)) as fresh:
            assert np.array_equal(rule.cut(fresh, [centre], 0.25)[0], made.crops[n])


def test_a_pyramid_gives_the_same_bytes_whatever_was_looked_at_before(pyramid: Path) -> None:
    rule = CropRule(windows=(120.0, 400.0), size_px=96)
    centres = [(700.3, 900.7), (10.0, 10.0), (1499.0, 1799.0)]
    with open_slide(pyramid) as slide:
        assert slide.info.levels > 1
        first = rule.cut(slide, centres, 0.25)
        for level in range(slide.info.levels):
            slide.read_region(level, 0, 0, *slide.info.level_sizes_hw[level])
        again = rule.cut(slide, centres[::-1], 0.25)[::-1]
    assert np.array_equal(first, again)


@given(y=st.floats(-20, 220), x=st.floats(-20, 270), side=st.floats(20, 150))
def test_the_window_is_centred_to_a_fraction_of_a_pixel(y: float, x: float, side: float) -> None:
    crop = CropRule(windows=(side,), unit="px", size_px=32).cut(_InMemory(RAMP), [(y, x)], None)[0, 0]
    step = side / 32
    for axis, (centre, length) in enumerate(((y, 200), (x, 250))):
        places = centre + (np.arange(32) - 15.5) * step
        other = (x, y)[axis] + (np.arange(32) - 15.5) * step
        reach = step + 2
        inner = (places > reach) & (places < length - reach)
        beside = (other > reach) & (other < (250, 200)[axis] - reach)
        # Red and green tell how far down and across a px lies; the crop's grey levels are whole numbers.
        result = np.moveaxis(crop[..., axis], axis, 0)[np.ix_(inner, beside)] + 0.5
        apart = result - places[inner][:, None]
        assert np.abs(apart).max(initial=0) <= 0.6


def test_outside_the_slide_is_its_white_and_nothing_is_stretched() -> None:
    slide = _InMemory(np.full((60, 40, 3), 90, dtype=np.uint8))
    crop = CropRule(windows=(120.0,), unit="px", size_px=120).cut(slide, [(30.0, 20.0)], None)[0, 0]
    assert np.array_equal(crop[30:90, 40:80], np.full((60, 40, 3), 90, dtype=np.uint8))
    outside = np.ones((120, 120), dtype=bool)
    outside[30:90, 40:80] = False
    assert (crop[outside] == 255).all()


def test_a_window_far_outside_is_white() -> None:
    slide = _InMemory(np.zeros((60, 40, 3), dtype=np.uint8))
    crop = CropRule(windows=(50.0,), unit="px", size_px=50).cut(slide, [(-500.0, 900.0)], None)
    assert (crop == 255).all()


def test_a_round_cell_stays_round_at_every_scale() -> None:
    shown_image = np.full((900, 900, 3), 240, dtype=np.uint8)
    y, x = np.mgrid[:900, :900] + 0.5
    shown_image[np.hypot(y - 450, x - 450) < 100] = 20
    slide = _InMemory(shown_image)
    for side in (300.0, 431.7, 800.0):
        crop = CropRule(windows=(side,), unit="px", size_px=224).cut(slide, [(450.0, 450.0)], None)[0, 0, ..., 0] < 130
        across, down = crop.any(axis=0).sum(), crop.any(axis=1).sum()
        assert abs(int(across) - int(down)) <= 1
        assert across == pytest.approx(200 / side * 224, abs=1.6)


def test_the_default_is_a_classifiers_input() -> None:
    rule = CropRule()
    assert (rule.size_px, rule.mpp_of(0)) == (224, pytest.approx(51.2 / 224))
    slide = _InMemory(np.zeros((300, 300, 3), dtype=np.uint8))
    assert rule.cut(slide, np.empty((0, 2)), 0.25).shape == (0, 1, 224, 224, 3)


def test_more_room_at_the_same_scale_has_the_crop_in_its_middle(shown_image: Path) -> None:
    rule = CropRule(windows=(51.2,), size_px=96)
    with open_slide(shown_image) as slide:
        plain = rule.cut(slide, CENTRES, 0.25).astype(int)
        wide = rule.widened(24).cut(slide, CENTRES, 0.25).astype(int)
    assert wide.shape[2:4] == (144, 144)
    assert np.abs(wide[:, :, 24:-24, 24:-24] - plain).max() <= 1
    with pytest.raises(CytoError, match="at most 1024 px, got 1096"):
        rule.widened(500)


def test_without_a_scale_a_rule_in_micrometres_refuses(shown_image: Path) -> None:
    with open_slide(shown_image) as slide, pytest.raises(CytoError, match="Expected the µm per px of"):
        CropRule().cut(slide, [(5.0, 5.0)], None)
    with pytest.raises(CytoError, match=r"got 1 slide without .*apacc:DIR@0.25"):
        run(cut_all([training_slide(shown_image, CENTRES, None)], CropRule()))


@pytest.mark.parametrize("windows", [(0.0,), (-3.0,), (), (1.0,) * 5])
def test_windows_that_are_none_are_refused(windows: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="windows"):
        CropRule(windows=windows)


def test_crops_keep_class_slide_and_place(shown_image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(textured(300, 300, 5)).save(other)
    slides = [training_slide(shown_image, CENTRES), training_slide(other, []), training_slide(other, [(9.0, 8.0)] * 3)]
    made, said = run(cut_all(slides, CropRule(size_px=32)))
    assert len(made) == 8
    assert made.slide_number.tolist() == [0] * 5 + [2] * 3
    assert made.class_index.tolist() == [0, 1, 0, 1, 0, 0, 1, 0]
    assert np.array_equal(made.centres_yx[:5], np.array(CENTRES))
    assert said[-1].done == said[-1].total == 8
    with open_slide(other) as slide:
        assert np.array_equal(made.crops[5], CropRule(size_px=32).cut(slide, [(9.0, 8.0)], 0.25)[0])


def test_many_crops_go_to_a_file_and_are_the_same(shown_image: Path) -> None:
    slides = [training_slide(shown_image, CENTRES)]
    in_memory, _ = run(cut_all(slides, CropRule(size_px=32)))
    on_disk, _ = run(cut_all(slides, CropRule(size_px=32), memory_bytes=0))
    assert isinstance(on_disk.crops, np.memmap)
    assert np.array_equal(in_memory.crops, on_disk.crops)


def test_a_disk_too_small_is_said_before_it_is_full(shown_image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(CytoError, match="GB of free disk space"):
        run(cut_all([training_slide(shown_image, CENTRES)], CropRule(), memory_bytes=0))


def test_an_image_that_cannot_be_read_is_left_out_with_one_remark(shown_image: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    Image.fromarray(textured(200, 200)).save(broken, quality=90)
    broken_slide = training_slide(broken, [(50.0, 50.0), (60.0, 60.0)])
    broken.write_bytes(broken.read_bytes()[:3000])
    gone = training_slide(shown_image, [(50.0, 50.0)])
    gone = TrainingSlide(
        **{n: getattr(gone, n) for n in gone.__dataclass_fields__} | {"path": str(tmp_path / "no.png")}
    )
    fine = training_slide(shown_image, CENTRES)
    made, said = run(cut_all([broken_slide, gone, fine], CropRule(size_px=32)))
    assert made.slide_number.tolist() == [2] * 5
    alone, _ = run(cut_all([fine], CropRule(size_px=32)))
    assert np.array_equal(made.crops, alone.crops)
    notes = [s.message for s in said if isinstance(s, Noted)]
    assert sorted(notes) == sorted(made.remarks)
    assert len(notes) == 2
    assert any("broken.jpg" in n and "left out" in n for n in notes)
    with pytest.raises(CytoError, match="None of the cells"):
        run(cut_all([broken_slide, gone], CropRule(size_px=32)))


def test_a_cancelled_cutting_stops(shown_image: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(JobCancelled):
        run(cut_all([training_slide(shown_image, CENTRES)], CropRule(), token))


@pytest.mark.shared
def test_real_mirax_levels_are_chosen_and_cut_alike(shared: Path) -> None:
    rows = np.genfromtxt(shared / "slides" / "cric_fields.cells.csv", delimiter=",", names=True, dtype=None)
    centres = np.stack([rows["y"], rows["x"]], axis=1).astype(np.float64)[:40]
    rule = CropRule(windows=(51.2, 200.0, 800.0), size_px=64)
    with open_slide(shared / "slides" / "cric_fields.mrxs") as slide:
        mpp = slide.info.mpp or 0.25
        first = rule.cut(slide, centres, mpp)
        assert (first[:, 0].std(axis=(1, 2, 3)) > 5).all(), "each window shows a cell"
        read: list[int] = []
        real = slide.read_region
        slide.read_region = lambda level, *rest: (read.append(level), real(level, *rest))[1]  # type: ignore[method-assign]
        rule.cut(slide, centres[:1], mpp)
        downs = slide.info.downsamples
        for level, window in zip(read, rule.windows, strict=True):
            expected = window / mpp / rule.size_px
            assert downs[level] <= expected * 1.001
            assert level == len(downs) - 1 or downs[level + 1] > expected
        assert len(set(read)) > 1
    shared_cache().clear()
    with open_slide(shared / "slides" / "cric_fields.mrxs") as slide:
        slide.read_region(slide.info.levels - 1, 0, 0, 300, 300)
        assert np.array_equal(rule.cut(slide, centres[::-1], mpp)[::-1], first)


@pytest.mark.shared
def test_real_cric_cells_are_cut_alike_for_training_and_inference(shared: Path) -> None:
    from dataclasses import replace

    from napari_cyto.datasets.training.training_set import read_training_set

    data = read_training_set([f"cric:{shared / 'cric'}"])
    slides = [replace(s) for s in data.slides[:4]]
    made, _ = run(cut_all(slides, CropRule()))
    shared_cache().clear()
    for n in range(0, len(made), 7):
        slide = slides[made.slide_number[n]]
        with open_slide(slide.path) as opened:
            assert np.array_equal(CropRule().cut(opened, [made.centres_yx[n]], slide.mpp)[0], made.crops[n])


RAMP = np.zeros((200, 250, 3), dtype=np.uint8)
RAMP[..., 0] = np.arange(200)[:, None]
RAMP[..., 1] = np.arange(250)[None]


class _InMemory(Slide):
    """A picture that needs no file."""

    def __init__(self, pixels: np.ndarray) -> None:
        from napari_cyto.slides.slide_info import SlideInfo

        height, width = pixels.shape[:2]

        class Backend:
            info = SlideInfo(
                path=Path("memory.png"),
                vendor="png",
                width=width,
                height=height,
                level_sizes_hw=((height, width),),
                downsamples=(1.0,),
                factors_yx=((1.0, 1.0),),
            )

            def tile_shape_hw(self, level: int) -> tuple[int, int]:
                return (height, width)

            def decode_tile(self, level: int, row: int, column: int) -> np.ndarray:
                return pixels.copy()

            def close(self) -> None: ...

        super().__init__(Backend(), TileCache(0))
