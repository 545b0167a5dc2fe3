"""Promise: every cell of a project gets the vector that its encoder gives it, once, or is said to have none."""

from __future__ import annotations

import shutil
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from verb_calls import printed, refusal

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster.chunks import Answer
from napari_cyto.inference.embed._slide_vectors import SlideLacking, encoded_by_workers
from napari_cyto.inference.embed.attention import (
    AttentionMaps,
    AttentionOptions,
    CellAttention,
    attention_of_cells,
    write_image,
)
from napari_cyto.inference.embed.encode import CellEncoder, crop_rule_of, kind_of
from napari_cyto.inference.embed.job import Embedded, EmbedOptions, embed
from napari_cyto.inference.many_slides import SeveralRequest, run_several
from napari_cyto.inference.network_input import as_input
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Failed, Noted
from napari_cyto.models._probe_fields import probe_field
from napari_cyto.models.bundle import Bundle, write_bundle
from napari_cyto.models.encoder import attention_weights, build
from napari_cyto.slides import UnreadableTile, fingerprint, open_slide
from napari_cyto.store import Project
from napari_cyto.vectors import cell_vectors, vector_kinds, vectors_folder

pytestmark = pytest.mark.networks

RULE = {"windows": (16.0,), "unit": "px", "size_px": 32}


def encoder(folder: Path, seed: int = 0, **settings: object) -> Bundle:
    torch.manual_seed(seed)
    known = {"backbone": "test_vit", "tokens": "both", "input_px": 32, "length": 128} | settings
    network = build(known, 0)
    fields = {"kind": "encoder", "architecture": "timm-encoder", "settings": known, "classes": (), "mpp": None}
    return write_bundle(folder, fields | {"input_px": 32, "crop_rule": RULE}, network.state_dict())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return encoder(tmp_path_factory.mktemp("models") / "seer")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with 90 cells on one image and 40 on another."""
    rng, place = np.random.default_rng(0), tmp_path / "p.cyto"
    with Project.create(place, preset("bethesda")) as project:
        for name, count in (("one.png", 90), ("two.png", 40)):
            Image.fromarray(rng.integers(0, 255, (300, 400, 3), dtype=np.uint8)).save(tmp_path / name)
            path = tmp_path / name
            slide = SlideRecord(name=name, path=str(path), size_hw=(300, 400), fingerprint=fingerprint(path))
            project.add_slides([slide])
            spots = rng.uniform(0, (300, 400), (count, 2)).tolist()
            cells = [Annotation(slide_id=slide.id, geometry=Point(y, x), class_id="HSIL") for y, x in spots]
            project.apply(add(cells, "mark"), "me")
    return place


def done(place: Path, bundle: Bundle, runtime: str = "torch") -> Embedded:
    last = list(embed(place, EmbedOptions(encoder=str(bundle.path), runtime=runtime)))[-1]  # type: ignore[arg-type]
    assert isinstance(last, Done), last
    assert isinstance(last.result, Embedded)
    return last.result


def test_each_cell_has_the_vector_of_what_lies_around_it(place: Path, bundle: Bundle) -> None:
    result = done(place, bundle)
    assert (result.cells, result.made, result.damaged, result.left_out) == (130, 130, 0, ())
    network = CellEncoder(bundle, runtime="torch")
    with Project.open(place) as project:
        [kind] = vector_kinds(project)
        assert kind == kind_of(bundle)
        found = cell_vectors(project, kind)
        for slide in project.slides():
            rows = [n for n, of in enumerate(found.slide_ids) if of == slide.id]
            cells = project.annotations_by_id([found.ids[n] for n in rows])
            centres = {c.id: c.geometry.centre_yx for c in cells}
            with open_slide(slide.path) as opened:
                crops = network.rule.cut(opened, [centres[found.ids[n]] for n in rows], None)
            assert np.allclose(found.vectors[rows], network.vectors(crops), atol=2e-3, rtol=2e-3)
    assert done(place, bundle).made == 0


def test_only_a_cell_that_moved_is_made_anew(place: Path, bundle: Bundle) -> None:
    done(place, bundle)
    with Project.open(place) as project:
        cell = next(project.annotations())
        moved = replace(cell, geometry=Point(11.0, 12.0))
        project.apply(replace_all([(cell, moved)], "move"), "me")
    result = done(place, bundle)
    assert (result.made, result.moved) == (1, 1)


def test_a_stopped_run_keeps_what_it_made_and_the_next_one_continues(place: Path, bundle: Bundle) -> None:
    token, events = CancelToken(), []
    for event in embed(place, EmbedOptions(encoder=str(bundle.path), runtime="torch"), token):
        events.append(event)
        if isinstance(event, Advanced) and event.done:
            token.cancel()
    assert isinstance(events[-1], Cancelled)
    assert "kept" in events[-1].message
    assert 0 < done(place, bundle).made < 130


def test_another_file_at_a_slides_place_is_left_out_and_said(place: Path, bundle: Bundle) -> None:
    Image.new("RGB", (400, 300), "pink").save(place.parent / "one.png")
    result = done(place, bundle)
    assert (result.made, [(s.slide, s.cells) for s in result.left_out]) == (40, [("one.png", 90)])
    assert "not the slide that was annotated" in result.left_out[0].reason


def test_openvino_keeps_the_direction_of_the_vectors(place: Path, bundle: Bundle) -> None:
    pytest.importorskip("openvino")
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 255, (20, 1, 32, 32, 3), dtype=np.uint8)
    one, other = (CellEncoder(bundle, runtime=r).vectors(crops) for r in ("torch", "openvino"))  # type: ignore[arg-type]
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.min() >= 0.999


def test_a_projection_is_part_of_the_encoder(tmp_path: Path) -> None:
    made = encoder(tmp_path / "short", length=16, projected=True)
    assert CellEncoder(made, runtime="torch").vectors(np.zeros((3, 1, 32, 32, 3), np.uint8)).shape == (3, 16)
    with pytest.raises(CytoError, match="of 99 numbers, got one of 128"):
        encoder(tmp_path / "wrong", length=99)


def test_the_last_layers_attention_is_a_share_of_each_patch(bundle: Bundle) -> None:
    network = bundle.load_network()
    maps = network.attention(torch.rand(2, 3, 32, 32))
    assert maps.shape[0] == 2
    assert maps.shape[2:] == (2, 2)
    assert bool((maps > 0).all())
    assert bool((maps.sum((2, 3)) < 1).all())


def test_the_attention_is_that_by_which_the_layer_itself_weighs_its_values(bundle: Bundle) -> None:
    """Weighing the values by it gives what timm's own layer gives, whichever way that computes it."""
    layer = bundle.load_network().network.blocks[-1].attn
    tokens = torch.randn(2, 5, layer.qkv.in_features)
    weights = attention_weights(layer, tokens)
    values = layer.qkv(tokens).reshape(2, 5, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)[2]
    mixed = (weights @ values).transpose(1, 2).reshape(2, 5, -1)
    assert torch.allclose(layer.proj(mixed), layer(tokens), atol=1e-5)


def test_attention_is_laid_over_the_crop_that_the_encoder_sees(place: Path, bundle: Bundle, tmp_path: Path) -> None:
    with Project.open(place) as project:
        cells = list(project.annotations())[:3]
    *_, last = attention_of_cells(place, [c.id for c in cells], AttentionOptions(encoder=str(bundle.path)))
    assert isinstance(last, Done), last
    maps: AttentionMaps = last.result
    assert [each.id for each in maps.cells] == [c.id for c in cells]
    with Project.open(place) as project, open_slide(project.slide_path(project.slide(cells[0].slide_id))) as slide:
        crop = crop_rule_of(bundle).cut(slide, [cells[0].geometry.centre_yx], None)
    assert np.array_equal(maps.cells[0].crop, crop[0, 0])
    expected = bundle.load_network().attention(as_input(crop, bundle.manifest.normalisation))[0].mean(0)
    assert np.allclose(maps.cells[0].weights, expected.detach(), atol=1e-6)
    assert f"mean of {maps.heads} heads" in maps.words(maps.cells[0])
    write_image(maps.cells[0], tmp_path / "a.png", 64)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (128, 64)


def test_even_attention_leaves_a_crop_as_it_is_and_uneven_tints_where_it_is() -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    even = CellAttention("a", grey, np.full((4, 4), 0.05, np.float32))
    assert np.array_equal(even.overlaid(), grey)
    weights = np.full((4, 4), 0.01, np.float32)
    weights[1, 2] = 0.5
    uneven = CellAttention("b", grey, weights).overlaid().astype(int)
    assert uneven[12, 20, 1] > 150 > 100 > uneven[12, 20, 2], "lime where it is"
    assert uneven[28, 4].max() < 70, "darker where it is not"
    assert CellAttention("b", grey, weights).most > 10


def test_an_encoder_without_attention_is_a_sentence(
    place: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(place) as project:
        cell = next(project.annotations()).id
    out = str(tmp_path / "cell.png")
    said = refusal(["attention", str(place), cell, "--encoder", "cell-encoder", "--out", out], capsys)
    assert "no vision transformer with a class token" in said
    assert "have no vectors that would name one" in refusal(["attention", str(place), cell, "--out", out], capsys)
    with_encoder = ["attention", str(place), cell, "--encoder", str(bundle.path)]
    assert "add --out FILE.png" in refusal(with_encoder, capsys)
    assert "none of its cells" in refusal([*with_encoder[:2], "nope", *with_encoder[3:], "--json"], capsys)
    found = printed([*with_encoder, "--out", out, "--json"], capsys)
    assert np.shape(found["weights"]) == (2, 2)
    assert found["out"] == out
    assert "is there already" in refusal([*with_encoder, "--out", out], capsys)


def test_a_classifier_makes_no_vectors(place: Path) -> None:
    last = list(embed(place, EmbedOptions(encoder="bethesda-light")))[-1]
    assert isinstance(last, Failed)
    assert "expected an encoder, got a classifier" in last.message


def test_a_prediction_gives_its_cells_vectors_and_a_file_takes_none(tmp_path: Path, bundle: Bundle) -> None:
    image = tmp_path / "field.png"
    Image.fromarray(probe_field(0, 0.5, 256)[0]).save(image)
    requested = {
        "slides": (image,),
        "detector": "nucleus-detector",
        "encoder": str(bundle.path),
        "runtime": "torch",
        "mpp": 0.5,
    }
    requested["any_picture"] = True
    events = list(run_several(SeveralRequest(**requested, out=tmp_path / "p.cyto")))
    assert isinstance(events[-1], Done), events[-1]
    with Project.open(tmp_path / "p.cyto") as project:
        found = cell_vectors(project, kind_of(bundle))
        assert len(found.ids) == sum(project.slide_counts().values()) > 0
        assert found.without == 0
    assert any("vectors made by seer" in e.message for e in events if isinstance(e, Noted))
    last = list(run_several(SeveralRequest(**requested, out=tmp_path / "p.geojson")))[-1]
    assert isinstance(last, Failed)
    assert "predict into a project" in last.message


def test_workers_make_the_same_vectors_and_leave_out_what_is_damaged(place: Path, bundle: Bundle) -> None:
    done(place, bundle)
    with Project.open(place) as project:
        alone = cell_vectors(project, kind_of(bundle))
        shutil.rmtree(vectors_folder(project))
    options = EmbedOptions(encoder=str(bundle.path), runtime="torch", workers=2)
    last = list(embed(place, options))[-1]
    assert isinstance(last, Done), last
    assert (last.result.made, last.result.runtime) == (130, "PyTorch fp32")
    with Project.open(place) as project:
        shared = cell_vectors(project, kind_of(bundle))
    assert shared.ids == alone.ids
    assert np.array_equal(shared.vectors, alone.vectors)


def test_cells_on_damage_get_no_vector_wherever_they_are_cut_out() -> None:
    cells = SlideLacking("s", 3, ["a", "b", "c"], np.array([[10.0, 10.0], [10.0, 40.0], [90.0, 90.0]]), 0)
    lost = UnreadableTile("s", 0, (0.0, 0.0, 30.0, 30.0), "gone")

    class Given:
        ahead = 2

        def check(self) -> None: ...

        def ask(self, _work: object, _request: object, centres: np.ndarray) -> Future[Answer]:
            future: Future[Answer] = Future()
            future.set_result(Answer(centres, (lost,)))
            return future

        def answer(self, future: Future[Answer]) -> Answer:
            return future.result()

    [part] = encoded_by_workers(Given(), None, 5.0, cells)  # type: ignore[arg-type]
    assert [cells.ids[n] for n in part.positions[part.readable]] == ["b", "c"]
    assert part.vectors.tolist() == [[10.0, 40.0], [90.0, 90.0]]
