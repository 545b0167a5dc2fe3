"""Networks exported to OpenVINO: where they are kept, what is known of them, and how they are read, without torch.

An export is made once for a bundle, a version of OpenVINO and a processor, and takes pictures of any size. It lies in
a hidden folder beside the bundle; for a bundle that ships, or whose folder cannot be written, in the user's cache
folder.

What lies beside a bundle comes along with it, so it vouches for nothing: an export with other weights and the hashes
of these would answer in the model's name. It is used only where a seal of it lies in the user's data folder, which is
written when the export was made here and its answers were compared with torch's; the seal is a copy of the record that
holds these figures and the hashes of the files. A bundle that is copied is therefore exported anew by each user.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_cyto.domain.resources import shipped_folder
from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import user_cache_dir, user_data_dir
from napari_cyto.models._probe_fields import probe_shapes
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.found_cells import MapReading
from napari_cyto.models.manifest import Tolerance

Precision = Literal["fp32", "bf16"]

# Counts up whenever the same network would be exported in another way.
EXPORT_VERSION = 5
RECORD_NAME, GRAPH_NAME, WEIGHTS_NAME = "export.json", "network.xml", "network.bin"
MAX_RECORD_BYTES = 1 << 20


class Compared(BaseModel):
    """What an export in one precision gave, beside torch in fp32; ``seconds`` are the processor's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    matched_f1: float
    same_calls: float
    probability: float
    place_px: float
    seconds: float

    def keeps(self, tolerance: Tolerance) -> bool:
        """Whether its answers are near enough to torch's; those that are no number are not."""
        same = self.matched_f1 >= tolerance.matched_f1 and self.same_calls >= tolerance.same_calls
        return same and self.probability <= tolerance.probability and self.place_px <= tolerance.place_px


class ExportRecord(BaseModel):
    """What lies beside an exported network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str
    key: str
    openvino: str
    probes: tuple[tuple[int, ...], ...]
    sha256: dict[str, str]
    bytes: dict[str, int]
    compared: dict[Precision, Compared]
    reading: MapReading | None = None
    at_once: int | None = None
    """How many cells a classifier or encoder takes at a time; None for any number."""

    def precision(self, tolerance: Tolerance, requested: str = "auto") -> Precision | None:
        """Return the fastest precision that keeps a tolerance, or the one that is wanted; None where none does."""
        kept = [p for p, c in self.compared.items() if requested in ("auto", p) and c.keeps(tolerance)]
        return min(kept, key=lambda p: self.compared[p].seconds, default=None)


@dataclass(frozen=True)
class Exported:
    """An exported network, read and found to be whole.

    Parameters
    ----------
    record : ExportRecord
        What is known of it.
    graph, weights : bytes
        As OpenVINO reads them.
    model : openvino.Model, optional
        The network itself, where it could be kept nowhere; then there are no bytes.
    remark : str
        What to know of it, as a sentence.
    """

    record: ExportRecord
    graph: bytes = b""
    weights: bytes = b""
    model: Any = None
    remark: str = ""


def export_key(bundle: Bundle, openvino: str) -> str:
    """Return what names an export: another network, input, runtime or processor gives another."""
    known = bundle.manifest
    parts = {
        "version": EXPORT_VERSION,
        "weights": bundle.sha256,
        "network": [known.architecture, known.settings, known.normalisation.model_dump(), len(known.classes)],
        "calls": [known.mpp, known.decision.model_dump(mode="json"), known.tolerance.turned_down],
        "input": probe_shapes(known),
        "openvino": openvino,
        "processor": processor(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


@cache
def processor() -> str:
    """Return what tells processors apart that would choose another precision."""
    found = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        found += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def beside(bundle_folder: Path) -> Path:
    """Return the hidden folder beside a bundle that takes its exports."""
    return bundle_folder.parent / f".{bundle_folder.name}.openvino"


def export_places(bundle: Bundle) -> tuple[Path, ...]:
    """Return the folders that may hold a bundle's exports, the one to write to first."""
    shipped, own = shipped_folder(), user_cache_dir() / "openvino"
    folder = bundle.path.resolve()
    if shipped is not None and folder.parent == shipped.resolve():
        return (own,)
    return (beside(folder), own)


def seals_folder() -> Path:
    """Return the folder of this user's seals."""
    return user_data_dir() / "openvino-seals"


def seal_of(key: str, record: bytes) -> Path:
    """Return where the seal of an export lies, if the export with this record was made and compared here."""
    return seals_folder() / f"{key}-{hashlib.sha256(record).hexdigest()[:24]}.json"


def read_export(bundle: Bundle, openvino: str) -> Exported | None:
    """Return the export of a bundle, None where none is there, it is damaged, or it was not made here."""
    key = export_key(bundle, openvino)
    for place in export_places(bundle):
        with suppress(OSError, ValueError, ValidationError, CytoError):
            return _read(place / key, key)
    return None


def has_refused_export(bundle: Bundle, openvino: str) -> bool:
    """Whether something lies where a bundle's export would, which ``read_export`` did not take."""
    key = export_key(bundle, openvino)
    return any((place / key / RECORD_NAME).exists() for place in export_places(bundle))


def _read(folder: Path, key: str) -> Exported:
    with (folder / RECORD_NAME).open("rb") as stream:
        written = stream.read(MAX_RECORD_BYTES)
    # Before anything of it is believed.
    if seal_of(key, written).read_bytes() != written:
        raise CytoError(f"{folder}: this export was not made on this machine.")
    record = ExportRecord.model_validate_json(written)
    if {n: (folder / n).stat().st_size for n in (GRAPH_NAME, WEIGHTS_NAME)} != record.bytes:
        raise CytoError(f"{folder}: this export is damaged.")
    content = {name: (folder / name).read_bytes() for name in (GRAPH_NAME, WEIGHTS_NAME)}
    if record.key != key or {n: hashlib.sha256(c).hexdigest() for n, c in content.items()} != record.sha256:
        raise CytoError(f"{folder}: this export is damaged.")
    return Exported(record, content[GRAPH_NAME], content[WEIGHTS_NAME])


def forget_exports(bundle_folder: Path) -> None:
    """Remove what was exported beside a bundle that is no more."""
    place = beside(bundle_folder)
    with suppress(OSError):
        for folder in place.iterdir():
            forget_export(folder)
    shutil.rmtree(place, ignore_errors=True)


def forget_export(folder: Path) -> None:
    """Remove one export, and its seal."""
    with suppress(OSError):
        seal_of(folder.name, (folder / RECORD_NAME).read_bytes()).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
