"""Give a model away as ONNX: the network, its card, a test vector, and how to prepare input and read output."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.models._onnx_file import checked_graph
from napari_cyto.models._probe_fields import CROP_MPP, agreement, probe_cells, probe_field, separate_cells
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.card import card_text
from napari_cyto.models.found_cells import ForeignReading, FoundCells, MapReading
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.models.onnx_network import graph_bytes, is_onnx
from napari_cyto.models.openvino_library import openvino_library, openvino_version
from napari_cyto.models.torch_installed import need_torch

GRAPH_NAME, CARD_NAME, MANIFEST_NAME, GUIDE_NAME, VECTOR_NAME = (
    "model.onnx",
    "card.md",
    "card.json",
    "how-to.md",
    "test_vector.npz",
)
OPSET = 17
"""Of 2022: every runtime of today reads it."""

DETECTOR_PX = 512
CELLS = 4
LARGEST_DIFFERENCE = 1e-3
FEWEST_MATCHED = 0.99
_MATCH_PX = 1.0
_USUAL_MPP = 0.5

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class OnnxExport:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where.
    files : tuple of str
        Their names.
    difference : float or None
        The largest difference between the outputs of the model and of its file in OpenVINO, relative to the largest
        value; of detectors of boxes and points the share of cells that are not in both. None where the file is the
        very one that the model was made of.
    """

    folder: Path
    files: tuple[str, ...]
    difference: float | None

    @property
    def words(self) -> str:
        """The comparison in words."""
        if self.difference is None:
            return "the very file that the model was made of"
        return f"the same answers in OpenVINO (largest difference {self.difference:.2g})"


def export_to_onnx(bundle: Bundle, folder: Path) -> OnnxExport:
    """Write a model as ONNX, with all that its receiver needs, as a whole or not at all.

    Parameters
    ----------
    bundle : Bundle
        The model.
    folder : Path
        A new one.

    Raises
    ------
    CytoError
        When a package is missing, the folder is there, the network cannot be exported, or the file does not answer as
        the model does; nothing is left then.
    """
    if folder.exists():
        raise CytoError(f"{folder}: expected a new folder, but it is there already; choose another name.")
    if bundle.manifest.kind in ("slide", "outline"):
        raise CytoError(
            f"{bundle.id}: expected a detector, a classifier or an encoder, got {bundle.manifest.kind_words}; give "
            "away its folder instead."
        )
    _need_packages(bundle.manifest)
    with atomic_folder(folder, {"kind": "ONNX export", "id": bundle.id}) as temporary:
        difference = _write_network(bundle, temporary)
        (temporary / CARD_NAME).write_text(card_text(bundle.manifest), encoding="utf-8")
        (temporary / MANIFEST_NAME).write_text(bundle.manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (temporary / GUIDE_NAME).write_text(guide(bundle.manifest, difference is not None), encoding="utf-8")
        files = tuple(sorted(p.name for p in temporary.iterdir() if not p.name.startswith(".")))
    return OnnxExport(folder, files, difference)


def _need_packages(manifest: ModelManifest) -> None:
    if is_onnx(manifest):
        return
    need_torch("Exporting a model to ONNX")
    missing = "onnx" if importlib.util.find_spec("onnx") is None else "openvino" if openvino_version() is None else ""
    if missing:
        raise CytoError(
            f"Exporting a model to ONNX needs the package {missing}, which is not installed; install it with: pip "
            'install "napari-cyto[models,onnx]".'
        )


def _write_network(bundle: Bundle, folder: Path) -> float | None:
    """Write graph and test vector, and return how far the graph's answers are from the network's."""
    path = folder / GRAPH_NAME
    if is_onnx(bundle.manifest):
        path.write_bytes(graph_bytes(bundle))
        return None
    import torch

    module, names = _exportable(bundle)
    pixels = _probes(bundle.manifest)
    values = _input(pixels, bundle.manifest)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The tracer warns of sizes that are burned in, which is what is wanted here: a detector takes one size.
            warnings.simplefilter("ignore")
            truth = {n: v.numpy() for n, v in zip(names, module(torch.from_numpy(values)), strict=True)}
            many = {0: "cells"}
            axes = {} if bundle.manifest.kind == "detector" else dict.fromkeys(("input", *names), many)
            torch.onnx.export(
                module,
                (torch.from_numpy(values),),
                str(path),
                input_names=["input"],
                output_names=list(names),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError, ValueError, AttributeError, torch.onnx.errors.OnnxExporterError) as error:
        said = " ".join(str(error).split())[:160]
        raise CytoError(f"{bundle.id}: torch cannot export this network to ONNX ({said}).") from error
    checked_graph(path.read_bytes(), path)
    np.savez_compressed(folder / VECTOR_NAME, pixels=pixels, input=values, **truth)
    return _compared(truth, _read_back(path, values, names), bundle)


def _exportable(bundle: Bundle) -> tuple[Any, tuple[str, ...]]:
    """Return the network with outputs that others can read, and their names."""
    from napari_cyto.models import _onnx_modules

    return _onnx_modules.exportable(bundle)


def export_side_px(manifest: ModelManifest) -> int:
    """Return the side of a detector's input when it is exported, px: a fixed one, whatever it was trained on."""
    return max(DETECTOR_PX, -(-manifest.input_px // 32) * 32) if manifest.kind == "detector" else manifest.input_px


def _probes(manifest: ModelManifest) -> npt.NDArray[np.uint8]:
    """Return what the test vector is computed of, uint8 RGB: a made field, or cells cut out of one."""
    rule = manifest.crop_rule
    if manifest.kind == "detector" or rule is None:
        return probe_field(0, manifest.mpp or _USUAL_MPP, export_side_px(manifest))[0][None]
    windows = [window / CROP_MPP if rule.unit == "um" else window for window in rule.windows]
    return probe_cells(CELLS, windows, rule.size_px)


def _input(pixels: npt.NDArray[np.uint8], manifest: ModelManifest) -> npt.NDArray[np.float32]:
    """Return pixels as the network takes them: normalised, channels before rows; of one window without its axis."""
    mean, std = (np.asarray(v, np.float32) for v in (manifest.normalisation.mean, manifest.normalisation.std))
    values = np.moveaxis((pixels.astype(np.float32) / 255 - mean) / std, -1, -3)
    if manifest.kind != "detector" and values.shape[1] == 1:
        values = values[:, 0]
    return np.ascontiguousarray(values, np.float32)


def _read_back(path: Path, values: npt.NDArray[np.float32], names: Sequence[str]) -> Arrays:
    core = openvino_library().Core()
    try:
        runner = core.compile_model(core.read_model(path.read_bytes()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        request = runner.create_infer_request()
        request.infer({0: values})
        return {name: np.array(request.get_tensor(name).data) for name in names}
    except RuntimeError as error:
        said = " ".join(str(error).split())[-160:]
        raise CytoError(f"{path.name}: OpenVINO cannot read back what was exported ({said}).") from error


def _compared(truth: Arrays, came: Arrays, bundle: Bundle) -> float:
    """Return how far answers are from the network's.

    Raises
    ------
    CytoError
        When they are not the same.
    """
    manifest = bundle.manifest
    if manifest.kind == "detector" and "scores_map" not in truth:
        threshold = max(manifest.decision.score_threshold, 0.02)
        one, other = (_cells(each, manifest, threshold) for each in (truth, came))
        matched, _, every = agreement(one, other, _MATCH_PX, manifest.decision)
        share = 1 - 2 * matched / every if every else 0.0
        limit = 1 - FEWEST_MATCHED
    else:
        share = max(
            float(np.abs(truth[n] - came[n]).max(initial=0.0) / max(float(np.abs(truth[n]).max(initial=0.0)), 1.0))
            if truth[n].shape == came[n].shape
            else np.inf
            for n in truth
        )
        limit = LARGEST_DIFFERENCE
    if not share <= limit:
        raise CytoError(
            f"{bundle.id}: the exported file does not answer as the model does (difference {share:.2g}, at most "
            f"{limit:g} is accepted), so nothing was written."
        )
    return share


def reading_of(manifest: ModelManifest) -> MapReading:
    """Return how the outputs of one of our detectors are read once it is exported, as those of a foreign one."""
    output = {"p2p": "points", "fcrn": "scores"}.get(manifest.architecture, "boxes")
    return MapReading(
        architecture="onnx-detector",
        stride=int(manifest.settings.get("stride", 4)) if output == "scores" else 1,
        halo=0,
        multiple=1,
        sizes=manifest.tells_sizes,
        foreign=ForeignReading.model_validate(
            {
                "output": output,
                "classes": len(manifest.classes),
                "side_px": export_side_px(manifest),
                "first_label": 1 if manifest.architecture == "faster-rcnn" else 0,
            }
        ),
    )


def _cells(outputs: Arrays, manifest: ModelManifest, threshold: float) -> FoundCells:
    order = [n for n in ("points", "scores", "sizes") if n in outputs] if "points" in outputs else []
    maps = [outputs[n] for n in order or ("boxes", "labels", "scores")]
    cells = reading_of(manifest).cells(maps, threshold)
    apart = 0.0 if manifest.mpp is None else manifest.decision.merge_um / manifest.mpp
    return separate_cells(cells, apart)


def guide(manifest: ModelManifest, is_ours: bool = True) -> str:
    """Return in words how the input is prepared and the output read, as Markdown."""
    known, rule = manifest.normalisation, manifest.crop_rule
    scale = "" if manifest.mpp is None else f" at {manifest.mpp:.4g} µm per px"
    side = export_side_px(manifest)
    lines = [f"# {manifest.id} as ONNX", ""]
    if manifest.kind == "detector":
        lines += [f"**Input.** RGB images of {side} x {side} px{scale}, `1 x 3 x {side} x {side}`, float32."]
    else:
        assert rule is not None
        unit = "µm" if rule.unit == "um" else "px"
        windows = " and ".join(f"{w:g} {unit}" for w in rule.windows)
        axis = "" if len(rule.windows) == 1 else f"{len(rule.windows)} x "
        lines += [
            f"**Input.** Cells: squares of {windows} around the centre of each, resampled to {side} x {side} px "
            f"RGB{scale}, `cells x {axis}3 x {side} x {side}`, float32; any number of cells."
        ]
    lines += [
        "",
        "**Normalisation.** Values 0 to 255 are divided by 255; then, for red, green and blue, "
        f"({', '.join(f'{v:g}' for v in known.mean)}) is subtracted and the rest divided by "
        f"({', '.join(f'{v:g}' for v in known.std)}).",
    ]
    if manifest.colour is not None:
        lines += ["", f"**Colours.** Matched to {manifest.colour.picture} (Reinhard) before that; see `card.json`."]
    lines += (
        ["", *_output_lines(manifest)] if is_ours else ["", "**Output.** As of the file that the model was made of."]
    )
    if is_ours:
        lines += [
            "",
            f"**Test vector.** `{VECTOR_NAME}` (numpy) has `pixels` (uint8 RGB), `input` (the same, prepared) and one "
            "array for each output; the file gave these in OpenVINO when it was written.",
            "",
            "**Back into napari-cyto.**",
            "",
            "```bash",
            _command(manifest, side),
            "```",
        ]
    lines += ["", "What the model is for, what it was trained on, and its limits: `card.md`.", ""]
    return "\n".join(lines)


def _output_lines(manifest: ModelManifest) -> list[str]:
    decision, many = manifest.decision, len(manifest.classes)
    classes = ", ".join(manifest.class_ids)
    if manifest.kind == "encoder":
        return [f"**Output.** `features`, `cells x {manifest.vector_length}`; compare vectors by their cosine."]
    if manifest.kind == "classifier":
        costs = ", ".join(f"{i} {c:.3g}" for i, c in zip(manifest.class_ids, decision.miss_costs, strict=False))
        lines = [f"**Output.** `probabilities`, `cells x {many}`, calibrated, in this order: {classes}."]
        if costs:
            lines += ["", f"**Calls.** The class with the largest product of probability and cost: {costs}."]
        if decision.views > 1:
            lines += [
                "",
                f"**Views.** The model averages the probabilities of {decision.views} flipped and rotated views; the "
                "file sees one.",
            ]
        return lines
    from_score = f"Detections count from a score of {decision.score_threshold:.3g}"
    merged = f", and of those closer than {decision.merge_um:g} µm the surest stays." if decision.merge_um else "."
    kind = {"p2p": "points", "fcrn": "scores"}.get(manifest.architecture, "boxes")
    first = 1 if manifest.architecture == "faster-rcnn" else 0
    what = {
        "points": f"`points` (1 x N x 2, x and y in px), `scores` (1 x N x {many + 1}, probabilities of {classes} and, "
        "last, of background)" + (", `sizes` (1 x N x 2, width and height in px)" if manifest.tells_sizes else ""),
        "scores": f"`scores_map` (1 x {many} x h x w): a density of {classes}; the peaks of their sum are cells",
        "boxes": f"`boxes` (N x 4: x0, y0, x1, y1 in px), `labels` ({first} is {manifest.class_ids[0]}; in order: "
        f"{classes}), `scores`",
    }[kind]
    return [f"**Output.** {what}. {from_score}{merged}"]


def _command(manifest: ModelManifest, side: int) -> str:
    known = manifest.normalisation
    words = [f"napari-cyto models add {GRAPH_NAME} --kind {manifest.kind} --input-px {side}"]
    words += [f"--name {manifest.id}-onnx"]
    words += [f"--normalisation {','.join(f'{v:g}' for v in known.mean)}/{','.join(f'{v:g}' for v in known.std)}"]
    if manifest.kind != "encoder":
        words += [f"--classes {','.join(manifest.class_ids)}"]
    if manifest.kind != "detector":
        rule = manifest.crop_rule
        assert rule is not None
        return " ".join([*words, *(f"--window-um {window:g}" for window in rule.windows)])
    output = {"p2p": "points", "fcrn": "scores"}.get(manifest.architecture, "boxes")
    words += [f"--output {output} --mpp {manifest.mpp or _USUAL_MPP:g} --scores probabilities"]
    words += [f"--score-from {manifest.decision.score_threshold:.4g} --merge-um {manifest.decision.merge_um:g}"]
    return " ".join([*words, f"--first-label {1 if manifest.architecture == 'faster-rcnn' else 0}"])
