"""Make a model of a network that a laboratory brought: an ONNX file, and what its owner says of it."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets.crop_rule import MAX_SIZE_PX, CropRule
from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.domain.quantities import Score, UmPerPx
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.formats.colours import PALETTE
from napari_cyto.models._onnx_conversion import Facts, TrialRequest
from napari_cyto.models._onnx_file import read_onnx
from napari_cyto.models.bundle import Bundle, id_from_name, write_file_bundle
from napari_cyto.models.card import TOKEN_WORDS, foreign_card
from napari_cyto.models.library import Entry, add_checked, refuse_taken
from napari_cyto.models.manifest import Decision, ModelClass, Normalisation
from napari_cyto.models.onnx_network import (
    ARCHITECTURE_OF,
    MAX_HALO_PX,
    NORMALISATIONS,
    OUTPUTS_OF,
    OVERLAP,
    TENSOR_NAME,
    OnnxSettings,
    Output,
    ScoreKind,
    Tokens,
)
from napari_cyto.models.onnx_trial import kept, tile_multiple, tried
from napari_cyto.models.openvino_store import NotKeptError

MAX_DETECTOR_PX = 2048
MAX_WINDOW_UM = 10_000
_SAME_MPP = 0.01
_HALO_SHARE = 8
_USUAL_THRESHOLD = {"yolo": 0.25}
_USUAL_MERGE_UM = {"points": 3.0, "scores": 3.0}
_USUAL_NORMALISATION = {"yolo": "unit", "boxes": "unit"}
_NUMBERS = re.compile(r"[-+.\deE]+(,[-+.\deE]+){2}/[-+.\deE]+(,[-+.\deE]+){2}")

NetworkKind: TypeAlias = Literal["detector", "classifier", "encoder"]


class ForeignNetwork(BaseModel):
    """What the owner of a network says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: NetworkKind = Field(
        default="detector",
        title="Kind",
        description="What it does: a detector finds cells, a classifier tells the class of a cell, an encoder gives a "
        "vector for each cell.",
    )
    classes: str = Field(
        default="",
        max_length=20_000,
        title="Classes",
        description="In the order of its outputs, with commas between; ids of a built-in scheme where they are the "
        "same. An encoder has none.",
    )
    output: Output | None = Field(
        default=None,
        title="Output",
        description="How cells are read: rows of a YOLO; boxes, labels and scores (torchvision); points with scores; "
        "score maps (scores, also a classifier's one score per class); features (an encoder's vector).",
    )
    mpp: UmPerPx | None = Field(
        default=None, title="µm per px", description="Of its input: the scale of the images that it was trained on."
    )
    input_px: int = Field(
        default=640, ge=32, le=MAX_DETECTOR_PX, title="Input, px", description="Side of the square that it takes."
    )
    window_um: tuple[float, ...] = Field(
        default=(),
        max_length=4,
        title="Window, µm",
        description="Side of what a classifier or encoder sees around a cell; several where it sees several windows.",
    )
    normalisation: str = Field(
        default="",
        max_length=200,
        title="Normalisation",
        description="What its input is: imagenet, half (-1 to 1), unit (0 to 1), raw (0 to 255), or mean and standard "
        "deviation as R,G,B/R,G,B. By default unit for boxes and YOLO, imagenet for others.",
    )
    scores: ScoreKind = Field(
        default="auto",
        title="Scores",
        description="Whether its scores are probabilities, or logits; found out on fixed images by default.",
    )
    score_from: Score | None = Field(
        default=None,
        title="Minimum score",
        description="Detections with a lower score do not count; 0.25 for YOLO and 0.5 for others by default.",
    )
    halo_px: int | None = Field(
        default=None,
        ge=0,
        le=MAX_HALO_PX,
        title="Margin, px",
        description="In which tiles overlap, so that a cell at the edge of one is seen whole in another; an eighth of "
        "the input by default.",
    )
    overlap: float = Field(
        default=OVERLAP,
        gt=0,
        lt=1,
        title="Overlap",
        description="Boxes that overlap by more (intersection over union) are one cell.",
    )
    merge_um: float | None = Field(
        default=None,
        ge=0,
        le=50,
        title="Merge, µm",
        description="Detections closer than this are one cell; 3 for points and score maps by default, else 0.",
    )
    first_label: int = Field(
        default=1,
        ge=0,
        le=1,
        title="First label",
        description="Of boxes: what the first class is called; torchvision's 1.",
    )
    tokens: Tokens = Field(
        default="cls",
        title="Tokens",
        description="Of an encoder that gives tokens: which of them make the vector.",
    )
    output_name: str = Field(
        default="",
        max_length=1_000,
        title="Output name",
        description="Of the network's outputs, where several fit; with commas between if it is read from several.",
    )
    name: str = Field(default="", max_length=80, title="Name", description="In the library; by default the file's.")
    summary: str = Field(default="", max_length=2_000, title="Summary", description="For its model card.")
    licence: str = Field(default="", max_length=200, title="Licence", description="For its model card.")
    stain: str = Field(
        default="Papanicolaou", max_length=100, title="Stain", description="Of the slides that it was trained on."
    )


def add_foreign(path: Path, declared: ForeignNetwork) -> tuple[Entry, tuple[str, ...]]:
    """Make a model of an ONNX file, try it, and add it to the user's library, as a whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    declared : ForeignNetwork
        What its owner says of it.

    Returns
    -------
    entry : Entry
        The model in the library.
    remarks : tuple of str
        What was found out or taken by default, a sentence each.

    Raises
    ------
    CytoError
        When something is missing, the file is refused, what it does is not what was declared, or the library has a
        model of that name.
    """
    name = id_from_name(declared.name or path.stem)
    refuse_taken(name)
    content = read_onnx(path)
    settings = _settings(declared)
    fields = _fields(declared, name)
    request = TrialRequest(
        name=str(path),
        kind=declared.kind,
        n_classes=len(fields["classes"]),
        input_px=declared.input_px,
        windows=1 if fields["crop_rule"] is None else len(fields["crop_rule"].windows),
        normalisation=fields["normalisation"],
        settings=settings,
    )
    with tried(content, request) as trial, tempfile.TemporaryDirectory(prefix="napari-cyto-model-") as folder:
        remarks = _remarks(declared, trial.facts, fields)
        fields["settings"] = trial.facts.settings.model_dump(mode="json", exclude_none=True)
        fields["card"] = foreign_card(
            declared.kind, path.name, hashlib.sha256(content).hexdigest(), declared.summary, declared.licence, remarks
        )
        made = write_file_bundle(Path(folder) / name, fields, TENSOR_NAME, content)
        entry = add_checked(made)
        try:
            kept(Bundle(entry.path, made.manifest), trial)
        except NotKeptError as error:
            remarks = (*remarks, str(error))
    return entry, remarks


def _settings(declared: ForeignNetwork) -> OnnxSettings:
    """Return the settings of a graph before it was tried."""
    known = OUTPUTS_OF[declared.kind]
    output = declared.output or (known[0] if len(known) == 1 else None)
    if output is None or output not in known:
        came = f"got {output}" if output else "none was given"
        raise CytoError(f"Expected the output of a {declared.kind}, {' or '.join(known)} (--output), {came}.")
    halo = 0
    if declared.kind == "detector":
        halo = _halo(declared)
    return OnnxSettings(
        output=output,
        outputs=tuple(n.strip() for n in declared.output_name.split(",") if n.strip()),
        scores=declared.scores,
        first_label=declared.first_label,
        overlap=declared.overlap,
        halo_px=halo,
        tokens=declared.tokens,
    )


def _halo(declared: ForeignNetwork) -> int:
    """Return the margin of tiles, a multiple of what tiles start at."""
    side, multiple = declared.input_px, tile_multiple(declared.input_px)
    margin = side // _HALO_SHARE if declared.halo_px is None else declared.halo_px
    halo = -(-margin // multiple) * multiple
    if side - 2 * halo < multiple or multiple < 2:
        raise CytoError(
            f"Expected an input of {side} px to be larger than two margins of {halo} px and a multiple of 2; give "
            "another --input-px or --halo-px."
        )
    return halo


def _fields(declared: ForeignNetwork, name: str) -> dict[str, Any]:
    """Return the fields of the manifest but for what a trial finds."""
    classes, scheme = declared_classes(declared)
    output = declared.output or ""
    rule = _crop_rule(declared)
    mpp = declared.mpp if rule is None else rule.mpp_of(0)
    if mpp is None:
        raise ScaleUnknownError(
            "Expected the µm per px of the images that the detector was trained on (--mpp), got none."
        )
    usual = _USUAL_MERGE_UM.get(output, 0.0)
    threshold = _USUAL_THRESHOLD.get(output, 0.5) if declared.score_from is None else declared.score_from
    merge_um = usual if declared.merge_um is None else declared.merge_um
    is_detector = declared.kind == "detector"
    return {
        "id": name,
        "kind": declared.kind,
        "architecture": ARCHITECTURE_OF[declared.kind],
        "scheme": scheme,
        "classes": tuple(ModelClass.of(c) for c in classes),
        "stain": declared.stain,
        "mpp": mpp,
        "input_px": declared.input_px,
        "normalisation": normalisation_of(declared),
        "crop_rule": rule,
        "decision": Decision(score_threshold=threshold, merge_um=merge_um) if is_detector else Decision(),
    }


def _crop_rule(declared: ForeignNetwork) -> CropRule | None:
    if declared.kind == "detector":
        return None
    windows, mpp, side = declared.window_um, declared.mpp, declared.input_px
    if side > MAX_SIZE_PX:
        raise CytoError(f"Expected an input of at most {MAX_SIZE_PX} px, got {side} px.")
    wrong = next((w for w in windows if not 0 < w <= MAX_WINDOW_UM), None)
    if wrong is not None:
        raise CytoError(f"Expected windows above 0 and up to {MAX_WINDOW_UM:,} µm (--window-um), got {wrong:g}.")
    if not windows and mpp is None:
        raise ScaleUnknownError(
            f"Expected how much of a cell's surroundings the {declared.kind} sees: --window-um, or --mpp, got neither."
        )
    if not windows:
        assert mpp is not None
        windows = (mpp * side,)
    elif mpp is not None and abs(windows[0] / side - mpp) > _SAME_MPP * mpp:
        raise CytoError(
            f"A window of {windows[0]:g} µm on {side} px has {windows[0] / side:.4g} µm per px, but --mpp says "
            f"{mpp:g}; give one of them."
        )
    return CropRule(windows=windows, unit="um", size_px=side)


def declared_classes(declared: ForeignNetwork) -> tuple[tuple[CellClass, ...], str]:
    """Return the classes that a network was declared to have, and the scheme that they are of.

    Raises
    ------
    CytoError
        When there are none, or an encoder has some.
    """
    ids = [word.strip() for word in declared.classes.split(",") if word.strip()]
    if declared.kind == "encoder":
        if ids:
            raise CytoError(f"Expected no classes for an encoder, which names no cell, got {', '.join(ids[:5])}.")
        return (), "bethesda"
    if not ids:
        raise CytoError(
            f"Expected the classes of the {declared.kind} in the order of its outputs (--classes), got none."
        )
    twice = next((i for n, i in enumerate(ids) if i in ids[:n]), None)
    if twice is not None:
        raise CytoError(f"Expected each class once, got {twice!r} twice (--classes).")
    for name in PRESETS:
        scheme = preset(name)
        if all(i in scheme for i in ids):
            by_id = {c.id: c for c in scheme.classes}
            return tuple(by_id[i] for i in ids), name
    return tuple(CellClass(i, i, PALETTE[n % len(PALETTE)]) for n, i in enumerate(ids)), "own"


def normalisation_of(declared: ForeignNetwork) -> Normalisation:
    """Return what was declared of the input, by its name or its numbers.

    Raises
    ------
    CytoError
        When it is neither.
    """
    text = declared.normalisation.strip() or _USUAL_NORMALISATION.get(declared.output or "", "imagenet")
    if text in NORMALISATIONS:
        return NORMALISATIONS[text]
    try:
        if not _NUMBERS.fullmatch(text):
            raise ValueError
        mean, std = ([float(v) for v in part.split(",")] for part in text.split("/"))
        return Normalisation.model_validate({"mean": mean, "std": std})
    except ValueError as error:
        raise CytoError(
            f"Expected the normalisation as {', '.join(NORMALISATIONS)} or as R,G,B/R,G,B (mean and standard "
            f"deviation, 0.001 to 10, of values 0 to 1), got {text[:60]!r}."
        ) from error


def _remarks(declared: ForeignNetwork, facts: Facts, fields: dict[str, Any]) -> tuple[str, ...]:
    """Return what was found out or taken by default, as sentences."""
    settings, said = facts.settings, []
    known = {value: name for name, value in NORMALISATIONS.items()}
    if not declared.normalisation:
        said.append(f"Normalisation taken by default: {known[fields['normalisation']]}.")
    if settings.layout:
        said.append(f"Its output has the layout of a YOLO {settings.layout}.")
    if declared.scores == "auto" and settings.output != "boxes" and declared.kind != "encoder":
        said.append(f"On fixed images its scores look like {settings.scores} and are read as such.")
    if settings.length:
        said.append(f"A vector has {settings.length:,} numbers, made of {TOKEN_WORDS[settings.tokens]}.")
    if settings.at_once:
        said.append(
            f"It takes {settings.at_once} cell{'s' if settings.at_once > 1 else ''} at a time, which is slower."
        )
    if declared.kind == "detector":
        said.append(
            f"Tiles of {declared.input_px} px overlap by {settings.halo_px} px; detections count from a "
            f"score of {fields['decision'].score_threshold:g}."
        )
    return tuple(said)
