"""Adding a network of one's own, and giving one away, as jobs: a window starts them in a process of its own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_cyto.jobs.events import Advanced, Done, Event, Events, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.foreign_models import ForeignNetwork, add_foreign
from napari_cyto.models.library import bundle_named
from napari_cyto.models.onnx_export import export_to_onnx


def add_network(path: Path, declared: ForeignNetwork, token: Token | None = None) -> Events:
    """Make a model of an ONNX file and add it to the library; a job.

    Parameters
    ----------
    path : Path
        The file.
    declared : ForeignNetwork
        What its owner says of it.
    token : Token, optional
        Asks the job to stop; it does not once the network is being tried.

    Yields
    ------
    Event
        The last one is ``Done`` with ``name`` and ``remarks``, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_adding(path, declared, token))


def export_network(name: str, folder: Path, token: Token | None = None) -> Events:
    """Write a model as ONNX; a job.

    Parameters
    ----------
    name : str
        Of the library, or a folder.
    folder : Path
        A new one.
    token : Token, optional
        Asks the job to stop.

    Yields
    ------
    Event
        The last one is ``Done`` with ``folder`` and ``compared``, ``Cancelled`` or ``Failed``.
    """
    yield from ending_once(_exporting(name, folder, token))


def _adding(path: Path, declared: ForeignNetwork, token: Token | None) -> Generator[Event, None, None]:
    yield Advanced(0, 0, "Trying the network on fixed images…")
    stop_if_cancelled(token, "Nothing was added.")
    entry, remarks = add_foreign(path, declared)
    yield Done({"name": entry.name, "remarks": list(remarks)})


def _exporting(name: str, folder: Path, token: Token | None) -> Generator[Event, None, None]:
    yield Advanced(0, 0, "Exporting, and comparing what was written…")
    stop_if_cancelled(token)
    found = export_to_onnx(bundle_named(name), folder)
    yield Done({"folder": str(found.folder), "compared": found.words})
