"""Try a foreign graph in a limited process of its own, and keep what OpenVINO made of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from napari_cyto.errors import CytoError
from napari_cyto.jobs.limited_program import Outcome, run_limited
from napari_cyto.models._onnx_conversion import (
    FACTS_NAME,
    FAULT_CODE,
    ONNX_NAME,
    REQUEST_NAME,
    Facts,
    TrialRequest,
)
from napari_cyto.models._onnx_file import checked_graph
from napari_cyto.models._probe_fields import probe_shapes
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.found_cells import ForeignReading, MapReading
from napari_cyto.models.manifest import ModelManifest, first_fault
from napari_cyto.models.onnx_network import OnnxSettings, graph_bytes, settings_of
from napari_cyto.models.openvino_cache import (
    GRAPH_NAME,
    WEIGHTS_NAME,
    Compared,
    Exported,
    ExportRecord,
    export_key,
)
from napari_cyto.models.openvino_library import openvino_version
from napari_cyto.models.openvino_store import keep_export

MEMORY_BYTES = 3 << 30
"""What a trial may hold besides several copies of the graph: a network at 1,280 px takes about 1 GiB."""

COPIES = 6
SECONDS = 180.0
_MULTIPLE_PX = 32


@dataclass(frozen=True)
class Trial:
    """A graph that was converted and tried.

    Parameters
    ----------
    facts : Facts
        What came of it.
    folder : Path
        Where OpenVINO's form of it lies, for as long as the trial is held.
    """

    facts: Facts
    folder: Path

    def files(self) -> dict[str, bytes]:
        """Return OpenVINO's graph and weights by the names that an export gives them."""
        return {name: (self.folder / name).read_bytes() for name in (GRAPH_NAME, WEIGHTS_NAME)}


@contextmanager
def tried(content: bytes, request: TrialRequest) -> Iterator[Trial]:
    """Look through a graph, then convert and try it in a child process; the result holds while the block runs.

    Parameters
    ----------
    content : bytes
        An ONNX file.
    request : TrialRequest
        What it was declared to be.

    Raises
    ------
    CytoError
        When OpenVINO is not there, or the graph is refused: before any native code sees it, or by what it does.
    """
    if openvino_version() is None:
        raise CytoError(
            'Networks kept as ONNX run in OpenVINO, which is not installed; install it with: pip install "napari-cyto'
            '[openvino]".'
        )
    checked_graph(content, Path(request.name))
    with tempfile.TemporaryDirectory(prefix="napari-cyto-onnx-") as name:
        folder = Path(name)
        (folder / ONNX_NAME).write_bytes(content)
        (folder / REQUEST_NAME).write_text(request.model_dump_json(), encoding="utf-8")
        limit = MEMORY_BYTES + COPIES * len(content)
        _check_outcome(run_limited("napari_cyto.models._onnx_conversion", [name], limit, SECONDS), request.name, limit)
        facts = Facts.model_validate_json((folder / FACTS_NAME).read_bytes())
        yield Trial(facts, folder)


def export_onnx(bundle: Bundle) -> Exported:
    """Return what OpenVINO made of a bundle's graph, converted and tried here, and kept for the next time.

    Raises
    ------
    NotKeptError
        When no place for it can be written; it has the export.
    CytoError
        When the graph is refused.
    """
    with tried(graph_bytes(bundle), trial_request(bundle.manifest)) as trial:
        return kept(bundle, trial)


def try_bundle(bundle: Bundle) -> None:
    """Try a bundle's graph, and keep nothing.

    Raises
    ------
    CytoError
        When it is refused.
    """
    with tried(graph_bytes(bundle), trial_request(bundle.manifest)):
        pass


def kept(bundle: Bundle, trial: Trial) -> Exported:
    """Keep what was made of a bundle's graph.

    Raises
    ------
    NotKeptError
        When no place for it can be written; it has the export.
    """
    record, files = _record(bundle, trial.facts), trial.files()

    def write(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return keep_export(bundle, record, write, Exported(record, files[GRAPH_NAME], files[WEIGHTS_NAME]))


def trial_request(manifest: ModelManifest) -> TrialRequest:
    """Return what a bundle's graph is tried as.

    Raises
    ------
    CytoError
        When its settings are none of a foreign network.
    """
    try:
        settings = settings_of(manifest)
    except ValidationError as error:
        raise CytoError(f"{manifest.id}: its settings are wrong: {first_fault(error)}") from error
    return TrialRequest(
        name=manifest.id,
        kind=manifest.kind,
        n_classes=len(manifest.classes),
        input_px=manifest.input_px,
        windows=1 if manifest.crop_rule is None else len(manifest.crop_rule.windows),
        normalisation=manifest.normalisation,
        settings=settings,
    )


def _record(bundle: Bundle, facts: Facts) -> ExportRecord:
    version = openvino_version() or ""
    # There is nothing to compare it with: what OpenVINO says in fp32 is what the network says.
    same = Compared(matched_f1=1, same_calls=1, probability=0, place_px=0, seconds=facts.seconds)
    is_detector = bundle.manifest.kind == "detector"
    return ExportRecord(
        bundle=bundle.id,
        key=export_key(bundle, version),
        openvino=version,
        probes=probe_shapes(bundle.manifest),
        sha256={},
        bytes={},
        compared={"fp32": same},
        reading=_reading(bundle.manifest, facts) if is_detector else None,
        at_once=facts.settings.at_once,
    )


def _reading(manifest: ModelManifest, facts: Facts) -> MapReading:
    settings: OnnxSettings = facts.settings
    return MapReading(
        architecture=manifest.architecture,
        stride=facts.stride,
        halo=settings.halo_px,
        multiple=tile_multiple(manifest.input_px),
        sizes=settings.sizes,
        foreign=ForeignReading.model_validate(
            {
                "output": settings.output,
                "layout": settings.layout,
                "classes": len(manifest.classes),
                "side_px": manifest.input_px,
                "scores": settings.scores,
                "first_label": settings.first_label if settings.output == "boxes" else 0,
                "overlap": settings.overlap,
            }
        ),
    )


def tile_multiple(side_px: int) -> int:
    """Return of how many px tiles of a side start at multiples: the largest power of 2 up to 32 that divides it."""
    return min(_MULTIPLE_PX, side_px & -side_px)


def _check_outcome(outcome: Outcome, name: str, limit: int) -> None:
    if outcome.ended == "memory":
        raise CytoError(
            f"{name}: this network was ended because it took more than {limit >> 20:,} MiB of memory on one fixed "
            "image; export it with a smaller input, or as fp16."
        )
    if outcome.ended == "time":
        raise CytoError(f"{name}: this network was ended because it took more than {SECONDS:g} s on fixed images.")
    if outcome.code == FAULT_CODE and outcome.output.strip():
        raise CytoError(outcome.output.strip().splitlines()[-1])
    if outcome.code != 0:
        said = (outcome.errors.strip().splitlines() or [""])[-1][:200]
        grown = "MemoryError" in said or "bad_alloc" in outcome.errors or outcome.code < 0
        raise CytoError(
            f"{name}: OpenVINO ended while it read or tried this network"
            + (f", perhaps for want of memory (at most {limit >> 20:,} MiB)" if grown else "")
            + f"; it is refused{f' ({json.dumps(said)})' if said else ''}."
        )
