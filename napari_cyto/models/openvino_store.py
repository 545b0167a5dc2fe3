"""Keep an export of a network where it is found again, sealed: whoever made it, torch's tracer or a foreign graph."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import atomic_folder, write_text
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.openvino_cache import (
    GRAPH_NAME,
    RECORD_NAME,
    WEIGHTS_NAME,
    Exported,
    ExportRecord,
    export_places,
    forget_export,
    read_export,
    seal_of,
)

_LITTLE_ROOM_BYTES = 100_000_000
Write = Callable[[Path], None]


class NotKeptError(CytoError):
    """An export was made and compared, but no place takes it: it is there as long as the process runs.

    Parameters
    ----------
    sentence : str
        Why.
    exported : Exported
        The export.
    """

    def __init__(self, sentence: str, exported: Exported) -> None:
        super().__init__(sentence)
        self.exported = exported


def keep_export(bundle: Bundle, record: ExportRecord, write: Write, otherwise: Exported) -> Exported:
    """Keep an export in the first place that takes it, and return it as it is read back.

    Parameters
    ----------
    bundle : Bundle
        Whose.
    record : ExportRecord
        What is known of it but for the files.
    write : callable
        Writes the graph and its weights into a folder.
    otherwise : Exported
        The same in memory.

    Raises
    ------
    NotKeptError
        When no place takes it; it has ``otherwise``.
    """
    reasons = []
    for place in export_places(bundle):
        try:
            _keep(place, record, write)
        except CytoError as error:
            reasons.append(str(error))
            continue
        _drop_older(place, bundle, record.openvino)
        exported = read_export(bundle, record.openvino)
        if exported is not None:
            return exported
    why = " ".join(dict.fromkeys(reasons))
    raise NotKeptError(
        f"{bundle.id}: its OpenVINO export cannot be saved anywhere, so it is created again each time. {why}".strip(),
        otherwise,
    )


def _keep(place: Path, record: ExportRecord, write: Write) -> None:
    """Write an export to a place, and its seal where nobody who passes on a bundle can.

    Raises
    ------
    CytoError
        When either cannot be written; nothing of the export is left then.
    """
    folder = place / record.key
    if place.is_symlink():
        raise CytoError(f"{place}: this is a link to a place elsewhere, so nothing is written to it.")
    forget_export(folder)  # a damaged one, or another's
    try:
        with atomic_folder(folder, {"kind": "OpenVINO export", "bundle": record.bundle}) as temporary:
            write(temporary)
            sealed = _recorded(temporary, record)
        write_text(seal_of(record.key, sealed), sealed.decode())
    except (RuntimeError, OSError) as error:
        # OpenVINO's own writer says nothing of the disk but "basic_ios::clear: iostream error".
        raise CytoError(f"{place}: the export cannot be written there; {_room(place)}.") from error
    except CytoError:
        forget_export(folder)  # without its seal it is of no use
        raise


def _recorded(folder: Path, record: ExportRecord) -> bytes:
    """Write the record of a folder's graph and weights, and return its bytes."""
    content = {name: (folder / name).read_bytes() for name in (GRAPH_NAME, WEIGHTS_NAME)}
    whole = record.model_copy(
        update={
            "sha256": {name: hashlib.sha256(each).hexdigest() for name, each in content.items()},
            "bytes": {name: len(each) for name, each in content.items()},
        }
    )
    text = (whole.model_dump_json(indent=1) + "\n").encode()
    (folder / RECORD_NAME).write_bytes(text)
    return text


def _room(place: Path) -> str:
    """Return in words what a disk has to say to a file that could not be written."""
    there = next((p for p in (place, *place.parents) if p.exists()), Path.cwd())
    with suppress(OSError):
        free = shutil.disk_usage(there).free
        if free < _LITTLE_ROOM_BYTES:
            return f"the disk is full, {free / 1e6:.1f} MB are free"
    return "check write permission for the folder and free disk space"


def _drop_older(place: Path, bundle: Bundle, version: str) -> None:
    """Remove the exports of this bundle that another version of OpenVINO made in the same place."""
    for path in place.glob(f"*/{RECORD_NAME}"):
        try:
            record = ExportRecord.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            continue
        if record.bundle == bundle.id and record.openvino != version:
            forget_export(path.parent)
