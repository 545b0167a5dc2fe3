"""Guards that a network that somebody brings does what its owner said, in our engine, or is refused in a sentence."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from made_networks import Points, ScoreMaps, TinyYolo, exported, field
from made_onnx import FLOAT, floats, integers, mean_classifier, model, node, part, value
from planted_cells import slide_of

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.search import CellSearch
from napari_cyto.inference.model_choice import chosen_bundles
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.runtimes.choice import RuntimeRequest, crop_runtime
from napari_cyto.jobs.events import Failed
from napari_cyto.models import onnx_trial
from napari_cyto.models.bundle import Bundle, read_bundle
from napari_cyto.models.foreign_models import ForeignNetwork, add_foreign
from napari_cyto.models.library import add_model, find_model, list_models, verify_model

pytestmark = pytest.mark.networks


@pytest.fixture(autouse=True)
def _quiet_exports() -> Iterator[None]:
    """torch says with each export that another exporter is its default, and in tracing that sizes are burned in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


SIDE = 128
CELLS = [(60, 70, 0), (60, 200, 1), (190, 64, 1), (200, 330, 0), (128, 128, 0), (20, 350, 1), (300, 112, 0)]
"""Some of them on the seams of tiles."""

DETECTOR = {"kind": "detector", "classes": "NILM,HSIL", "mpp": 0.5, "input_px": SIDE, "halo_px": 32, "overlap": 0.2}


@pytest.fixture(autouse=True)
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))


def added(path: Path, **declared: Any) -> tuple[Bundle, tuple[str, ...]]:
    entry, remarks = add_foreign(path, ForeignNetwork.model_validate(declared))
    return read_bundle(entry.path), remarks


def refusal(path: Path, **declared: Any) -> str:
    with pytest.raises(CytoError) as caught:
        add_foreign(path, ForeignNetwork.model_validate(declared))
    assert [e.name for e in list_models() if not e.shipped] == []
    assert str(caught.value).endswith(".")
    return str(caught.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_finds_all(bundle: Bundle, near_px: float, sized: bool) -> None:
    """Each planted cell is found once, where it is, as what it is; in tiles with seams, and nothing else is."""
    search = CellSearch(CellDetector(bundle, runtime="auto"), 0.6)
    found = search.detect(slide_of(field(340, 400, CELLS)), 0.5)
    assert len(found.scores) == len(CELLS)
    truth = np.array([(y, x) for y, x, _ in CELLS], dtype=float)
    apart = np.linalg.norm(found.centres_yx[:, None] - truth[None], axis=2)
    assert sorted(apart.argmin(axis=1)) == list(range(len(CELLS)))
    assert apart.min(axis=1).max() <= near_px
    assert [CELLS[i][2] for i in apart.argmin(axis=1)] == found.class_scores.argmax(axis=1).tolist()
    sizes = found.boxes_yxyx[:, 2:] - found.boxes_yxyx[:, :2]
    assert np.allclose(sizes, 24, atol=0.5) == sized


@pytest.mark.parametrize(("layout", "anchors"), [("v8", 1), ("v5", 3), ("end-to-end", 1)])
def test_a_yolo_of_its_makers_shapes_finds_cells_in_our_engine(tmp_path: Path, layout: str, anchors: int) -> None:
    path = exported(TinyYolo(layout, anchors=anchors), tmp_path / "yolo.onnx", torch.zeros(1, 3, SIDE, SIDE))
    bundle, remarks = added(path, output="yolo", **DETECTOR)
    assert bundle.manifest.settings["layout"] == layout
    assert f"Its output has the layout of a YOLO {layout}." in remarks
    assert "Normalisation taken by default: unit." in remarks
    assert_finds_all(bundle, 8, sized=True)


def test_points_with_logits_and_sizes_are_read(tmp_path: Path) -> None:
    names = {"input_names": ["image"], "output_names": ["points", "scores", "sizes"]}
    path = exported(Points(), tmp_path / "points.onnx", torch.zeros(1, 3, SIDE, SIDE), **names)
    bundle, remarks = added(path, output="points", merge_um=10, normalisation="unit", **DETECTOR)
    assert "On fixed images its scores look like logits and are read as such." in remarks
    assert_finds_all(bundle, 8, sized=True)


def test_score_maps_are_read_by_their_peaks(tmp_path: Path) -> None:
    path = exported(ScoreMaps(), tmp_path / "maps.onnx", torch.zeros(1, 3, SIDE, SIDE))
    bundle, _ = added(path, output="scores", merge_um=10, normalisation="unit", **DETECTOR)
    assert_finds_all(bundle, 8, sized=False)


def test_a_faster_rcnn_answers_as_torch_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = tiny_faster_rcnn()
    with torch.no_grad():
        # Else a hundred boxes score nearly the same, and rounding decides which of two that overlap stays.
        network.roi_heads.box_predictor.cls_score.weight.mul_(30)
    path = exported(network, tmp_path / "boxes.onnx", [torch.rand(3, SIDE, SIDE)])
    bundle, _ = added(path, output="boxes", **{**DETECTOR, "overlap": 0.5})
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    with torch.no_grad():
        found = network([torch.from_numpy(pixels).permute(2, 0, 1) / 255])[0]
    kept = torchvision.ops.nms(found["boxes"], found["scores"], 0.5)
    cells = CellDetector(bundle, runtime="auto").runtime.cells(pixels, 0.01)
    boxes, scores, labels = (found[name][kept].numpy() for name in ("boxes", "scores", "labels"))
    truth = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], scores, labels - 1])
    came = [cells.points_yx[:, ::-1], cells.sizes_hw[:, ::-1], cells.scores, cells.class_scores.argmax(axis=1)]
    sure = truth[truth[:, 4] > 0.3]
    assert len(sure) > 5
    apart = np.abs(sure[:, None] - np.column_stack(came)[None]).max(axis=2).min(axis=1)
    assert (apart < 0.05).mean() > 0.9


def tiny_faster_rcnn() -> Any:
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 7, 16, 3), torch.nn.ReLU())
    body.out_channels = 8
    anchors = torchvision.models.detection.anchor_utils.AnchorGenerator(((24, 48),), ((1.0,),))
    pool = torchvision.ops.MultiScaleRoIAlign(["0"], 3, 2)
    return torchvision.models.detection.FasterRCNN(
        body, None, rpn_anchor_generator=anchors, box_roi_pool=pool, min_size=SIDE, max_size=SIDE, box_score_thresh=0.0,
        rpn_post_nms_top_n_test=40, box_head=torchvision.models.detection.faster_rcnn.TwoMLPHead(72, 16),
        box_predictor=torchvision.models.detection.faster_rcnn.FastRCNNPredictor(16, 3),
    ).eval()  # fmt: skip


def test_a_timm_classifier_of_one_cell_at_a_time_answers_as_torch_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=3).eval()
    path = exported(network, tmp_path / "timm.onnx", torch.zeros(1, 3, 64, 64))
    bundle, remarks = added(path, kind="classifier", classes="NILM,LSIL,HSIL", window_um=(40.0,), input_px=64)
    assert "Normalisation taken by default: imagenet." in remarks
    crops = np.random.default_rng(0).integers(0, 255, (11, 1, 64, 64, 3), dtype=np.uint8)
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    with torch.no_grad():
        truth = network(((torch.from_numpy(crops[:, 0]) / 255 - mean) / std).permute(0, 3, 1, 2)).numpy()
    classifier = CellClassifier(bundle, runtime="auto")
    assert np.allclose(classifier.logits(crops)[:, 0], truth, atol=1e-3)
    assert np.allclose(classifier.scores(crops).sum(axis=1), 1)


def test_a_classifier_that_ends_in_probabilities_keeps_them(tmp_path: Path) -> None:
    content = mean_classifier(more_nodes=[node("Softmax", ["logits"], ["shares"])], result="shares")
    bundle, remarks = added(
        written(tmp_path / "soft.onnx", content), kind="classifier", classes="NILM,HSIL", mpp=1, input_px=32,
        normalisation="unit",
    )  # fmt: skip
    assert "On fixed images its scores look like probabilities and are read as such." in remarks
    red = np.full((1, 1, 32, 32, 3), (200, 0, 0), np.uint8)
    share = 1 / (1 + np.exp(-2 * 200 / 255))
    assert np.allclose(CellClassifier(bundle, runtime="auto").scores(red), [[share, 1 - share]], atol=1e-4)


@pytest.mark.parametrize(("tokens", "length"), [("cls", 192), ("both", 384)])
def test_a_vit_gives_vectors_of_its_tokens(tmp_path: Path, tokens: str, length: int) -> None:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0, depth=1).eval()

    class Tokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network.forward_features(images)

    path = exported(
        Tokens(), tmp_path / "vit.onnx", torch.zeros(2, 3, 32, 32), input_names=["x"], dynamic_axes={"x": {0: "n"}}
    )
    bundle, _ = added(path, kind="encoder", window_um=(40.0,), input_px=32, tokens=tokens, normalisation="half")
    assert (bundle.manifest.vector_length, bundle.manifest.classes) == (length, ())
    crops = np.random.default_rng(0).integers(0, 255, (9, 1, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        truth = network.forward_features(torch.from_numpy(crops[:, 0]).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    expected = truth[:, 0] if tokens == "cls" else np.concatenate([truth[:, 0], truth[:, 1:].mean(axis=1)], axis=1)
    runtime, _ = crop_runtime(bundle, RuntimeRequest())
    assert np.allclose(runtime.outputs(crops), expected, atol=1e-3)
    for wrong in (CellDetector, CellClassifier):
        with pytest.raises(CytoError, match="an encoder"):
            wrong(bundle)
    for request in ({"detector": "vit"}, {"detector": "nucleus-detector", "classifier": "vit"}):
        with pytest.raises(CytoError, match="vit is an encoder, but"):
            chosen_bundles(PredictRequest(slide=path, **request))
    last = list(evaluate_bundle("vit", ["cric:nowhere"]))[-1]
    assert isinstance(last, Failed)
    assert "vit is an encoder, which names no cell" in last.message


# What a file may do that it should not, or what it was not said to be.


def test_wrong_numbers_of_classes_are_refused(tmp_path: Path) -> None:
    yolo = exported(TinyYolo("v8"), tmp_path / "yolo.onnx", torch.zeros(1, 3, SIDE, SIDE))
    said = refusal(yolo, output="yolo", **{**DETECTOR, "classes": "NILM,LSIL,HSIL"})
    assert "Expected a YOLO's output for 3 classes" in said
    assert "got 1 x 6 x 336" in said
    three = written(tmp_path / "three.onnx", mean_classifier([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    assert "one score for each of 2 classes (N x 2), got logits (8 x 3)" in refusal(
        three, kind="classifier", classes="NILM,HSIL", mpp=1, input_px=32
    )


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    broken = mean_classifier(more_nodes=[node("Log", ["logits"], ["y"])], result="y")
    said = refusal(written(tmp_path / "nan.onnx", broken), kind="classifier", classes="a,b", mpp=1, input_px=32)
    assert "contains NaN or infinity on a fixed image" in said


def test_what_takes_too_much_memory_is_ended_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The file has 600 bytes; its graph makes a tensor of 40 GB out of nothing, and sums it up.
    bomb = [
        node("ConstantOfShape", ["much"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["none"], more=part(5, part(1, "keepdims") + part(3, 0) + part(20, 2))),
        node("Add", ["logits", "none"], ["y"]),
    ]
    content = mean_classifier(more_nodes=bomb, result="y", tensors=[integers("much", [100_000, 100_000])])
    monkeypatch.setattr(onnx_trial, "MEMORY_BYTES", 1 << 30)
    said = refusal(written(tmp_path / "bomb.onnx", content), kind="classifier", classes="a,b", mpp=1, input_px=32)
    assert "memory" in said


def test_what_takes_too_long_is_ended_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_trial, "SECONDS", 0.05)
    path = written(tmp_path / "slow.onnx", mean_classifier())
    assert "more than 0.05 s" in refusal(path, kind="classifier", classes="a,b", mpp=1, input_px=32)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (mean_classifier()[:-40], "incomplete or something else"),
        (mean_classifier(side=64), "expected an input of RGB images of 32 x 32 px"),
        (mean_classifier(more_nodes=[node("Go", ["logits"], ["y"], "their.own")], result="y"), "'their.own'"),
        (b"\x80\x04\x95", "pickle"),
        (
            model(
                [node("Add", ["a", "b"], ["y"])],
                [value("a", [1, 3, 32, 32]), value("b", [1, 3, 32, 32])],
                [value("y", [1, 3, 32, 32])],
            ),
            "one input, RGB images, got a, b",
        ),
    ],
)
def test_files_that_cannot_be_such_a_network_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = written(tmp_path / "bad.onnx", content)
    assert words in refusal(path, kind="classifier", classes="a,b", mpp=1, input_px=32)


def test_sizes_that_the_file_leaves_open_are_those_that_were_declared(tmp_path: Path) -> None:
    path = written(tmp_path / "open.onnx", mean_classifier(side="s"))
    bundle, _ = added(path, kind="classifier", classes="a,b", window_um=(24.0,), input_px=48, name="open")
    assert CellClassifier(bundle, runtime="auto").scores(np.zeros((1, 1, 48, 48, 3), np.uint8)).shape == (1, 2)


def test_what_is_missing_has_its_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "one.onnx", mean_classifier())
    assert "Expected the output of a detector" in refusal(path, kind="detector", classes="a", mpp=1)
    assert "Expected the µm per px" in refusal(path, kind="detector", classes="a", output="yolo")
    assert "Expected the classes" in refusal(path, kind="classifier", mpp=1, input_px=32)
    assert "--window-um, or --mpp" in refusal(path, kind="classifier", classes="a,b", input_px=32)
    assert "names no cell" in refusal(path, kind="encoder", classes="a", mpp=1, input_px=32)
    assert "'a' twice" in refusal(path, kind="classifier", classes="a,a", mpp=1, input_px=32)
    assert "R,G,B/R,G,B" in refusal(path, kind="classifier", classes="a,b", mpp=1, input_px=32, normalisation="1,2")


def test_a_bundle_that_a_stranger_made_of_a_graph_is_tried_before_it_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.onnx", mean_classifier())
    mine, _ = added(path, kind="classifier", classes="NILM,HSIL", mpp=1, input_px=32)
    assert verify_model("mine", build_network=True)["checked"][-1] == "answers"
    # Three classes for a graph of two, which no hash of the weights contradicts where the bundle was made anew.
    from napari_cyto.models.bundle import write_file_bundle

    fields = json.loads(mine.manifest.model_dump_json(exclude={"id", "weights_sha256", "weights_bytes"}))
    fields["classes"] += [{"id": "SCC", "name": "SCC", "colour": "#000000"}]
    theirs = write_file_bundle(tmp_path / "theirs", fields, "onnx", mean_classifier())
    with pytest.raises(CytoError, match="one score for each of 3 classes"):
        add_model(theirs.path)
    with pytest.raises(CytoError, match="one score for each of 3 classes"):
        CellClassifier(theirs)
    assert find_model("theirs") is None
    # Other bytes than a graph, under the name of one.
    for name, content in (("onnx", b"\x80\x04abc"), ("w", mean_classifier())):
        odd = write_file_bundle(tmp_path / f"odd-{name}", {**fields, "classes": fields["classes"][:2]}, name, content)
        with pytest.raises(CytoError, match=r"pickle|one tensor 'onnx'"):
            CellClassifier(odd)


def test_a_foreign_network_is_not_trained_further_nor_run_in_torch(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.onnx", mean_classifier())
    mine, _ = added(path, kind="classifier", classes="NILM,HSIL", mpp=1, input_px=32)
    with pytest.raises(CytoError, match="cannot be trained further"):
        mine.load_network()
    assert CellClassifier(mine, runtime="torch").runtime.title == "OpenVINO fp32"
    with pytest.raises(CytoError, match="on the CPU only"):
        CellClassifier(mine, device="cuda")


def test_labels_beyond_the_declared_classes_stop_a_run(tmp_path: Path) -> None:
    path = exported(TinyYolo("end-to-end"), tmp_path / "yolo.onnx", torch.zeros(1, 3, SIDE, SIDE))
    declared = {**DETECTOR, "classes": "NILM"}
    try:
        bundle, _ = added(path, output="yolo", **declared)
    except CytoError as error:
        assert "got a cell of class 1" in str(error)  # noqa: PT017  the fixed images may show it already
        return
    with pytest.raises(CytoError, match="got a cell of class 1"):
        CellDetector(bundle, runtime="auto").runtime.cells(field(SIDE, SIDE, [(60, 60, 1)]), 0.3)


def test_floats_are_what_the_helper_says() -> None:
    assert floats("w", [1], [1.0]).endswith(b"\x00\x00\x80?")
    assert FLOAT == 1
