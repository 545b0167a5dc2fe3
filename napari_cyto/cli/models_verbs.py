"""Verbs of the model library: ``models list``, ``show``, ``add``, ``remove``, ``verify``, ``export``, and more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson, Data
from napari_cyto.cli.option_flags import checked, with_options
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.sets_config import SetsConfig
from napari_cyto.models.card import card_text
from napari_cyto.models.foreign_models import ForeignNetwork, add_foreign
from napari_cyto.models.library import (
    Entry,
    add_model,
    bundle_named,
    list_models,
    remove_model,
    verify_model,
)
from napari_cyto.models.onnx_network import can_run

Named = Annotated[str, typer.Argument(metavar="NAME", help="A name that `models list` shows, or a bundle's folder.")]
Own = Annotated[str, typer.Argument(metavar="NAME", help="A name that `models list` shows.")]
Source = Annotated[
    Path,
    typer.Argument(
        metavar="BUNDLE|FILE.onnx",
        help="The folder with model.json and model.safetensors, or a network of your own as ONNX, which needs --kind.",
    ),
]
OfProject = Annotated[
    Path | None,
    typer.Option("--project", metavar="PROJECT", help="A project with reviewed predictions of the model."),
]
Given = Annotated[str, typer.Argument(metavar="onnx", help="The format: onnx.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for the files.")]


def fill(group: typer.Typer) -> None:
    """Add the library's verbs to ``group``."""
    for name, verb in (
        ("list", list_),
        ("show", show),
        ("add", with_options(add, ForeignNetwork)),
        ("remove", remove),
        ("verify", verify),
        ("export", export),
        ("calibrate-sets", with_options(calibrate_sets, SetsConfig)),
    ):
        group.command(name)(verb)


def list_(as_json: AsJson = False) -> None:
    """List the built-in models and those that you added."""
    found = list_models()
    if as_json:
        print_json({"models": [_facts(e) for e in found]})
        return
    if not found:
        print("There are no models yet; train one (`napari-cyto train`) or add one (`napari-cyto models add`).")
        return
    rows = [(f["name"], f["kind"], _gives(f), f["licence"], f["origin"]) for f in map(_facts, found)]
    print_table("Models", ("name", "kind", "classes or vector", "licence", "origin"), rows)
    for entry in found:
        if entry.fault:
            print(f"{entry.name}: {entry.fault}")


def show(name: Named, as_json: AsJson = False) -> None:
    """Show a model's card: intended use, training data, metrics and limitations."""
    bundle = bundle_named(name)
    if as_json:
        print_json({"path": str(bundle.path)} | bundle.manifest.model_dump(mode="json"))
        return
    print(card_text(bundle.manifest), end="")


def add(source: Source, as_json: AsJson = False, *, given: dict[str, Any]) -> None:
    """Check a model and copy it into your library; of an ONNX file a model is made by what the options say of it.

    All options but --json are of ONNX files. The network is tried on fixed images before it is accepted.
    """
    if source.is_dir() or (not given and source.suffix.lower() != ".onnx"):
        if given:
            raise CytoError(
                f"{source}: expected an ONNX file for --{next(iter(given)).replace('_', '-')}, got a folder; a model's "
                "folder says all of itself."
            )
        _report(add_model(source), "added", as_json)
        return
    if "kind" not in given:
        raise CytoError(f"{source}: expected --kind detector, classifier or encoder for an ONNX file, got none.")
    entry, remarks = add_foreign(source, checked(ForeignNetwork, given))
    _report(entry, "added", as_json, remarks)


def export(format_name: Given, name: Named, out: Out, as_json: AsJson = False) -> None:
    """Give a model away as ONNX: the network, its card, a test vector, and how its input is prepared.

    What was written is read back with OpenVINO and compared with the model before the verb ends.
    """
    if format_name != "onnx":
        raise CytoError(f"Expected the format onnx, got {format_name!r}: models export onnx NAME --out DIR.")
    from napari_cyto.models.onnx_export import export_to_onnx

    found = export_to_onnx(bundle_named(name), out)
    if as_json:
        print_json({"folder": str(found.folder), "files": list(found.files), "largest_difference": found.difference})
    else:
        print_facts([("folder", found.folder), ("files", ", ".join(found.files)), ("read back", found.words)])


def calibrate_sets(
    name: Named, data: Data = None, project: OfProject = None, as_json: AsJson = False, *, given: dict[str, Any]
) -> None:
    """Calibrate prediction sets: which classes of a cell cannot be excluded, by cells that the model has not seen.

    With --data a classifier is calibrated on annotated cells and its folder keeps the result. With --project a model is
    calibrated on its reviewed predictions in a project, which keeps it. Groups are patients, else smears, else images.
    """
    from napari_cyto.cli import calibrate_sets as verb

    config = checked(SetsConfig, given)
    if (not data) == (project is None):
        raise CytoError(
            "Expected annotated cells to calibrate on (--data SRC) or a project (--project PROJECT), one of both."
        )
    if project is not None:
        verb.of_project(name, project, config, as_json)
    else:
        verb.of_bundle(name, data or (), config, as_json)


def remove(name: Own, as_json: AsJson = False) -> None:
    """Remove a model from your library; its files there are deleted."""
    _report(remove_model(name), "removed", as_json)


def verify(name: Named, as_json: AsJson = False) -> None:
    """Check a model: files, hash and tensors, and, where PyTorch is installed, that it loads and gives finite numbers.

    A network of your own that is kept as ONNX is tried in OpenVINO instead.

    Exit code 0: it is intact; 2: it is not, and one sentence says why.
    """
    found = verify_model(name, build_network=can_run(bundle_named(name, checked=False).manifest))
    if as_json:
        print_json(found)
    else:
        print(f"{found['id']}: intact (checked: {', '.join(found['checked'])})")


def _report(entry: Entry, done: str, as_json: bool, remarks: Sequence[str] = ()) -> None:
    if as_json:
        print_json({done: entry.name, "path": str(entry.path)} | ({"remarks": list(remarks)} if remarks else {}))
        return
    print_facts([(done, entry.name), ("folder", entry.path)])
    for sentence in remarks:
        print(sentence)


def _gives(facts: dict[str, Any]) -> str:
    length = facts["vector_length"]
    return f"{length:,} numbers a cell" if length else ", ".join(facts["classes"])


def _facts(entry: Entry) -> dict[str, Any]:
    known = entry.manifest
    return {
        "name": entry.name,
        "origin": "ships" if entry.shipped else "added",
        "path": str(entry.path),
        "ok": known is not None,
        "fault": entry.fault,
        "id": known and known.id,
        "kind": known and known.kind,
        "architecture": known and known.architecture,
        "scheme": known and known.scheme,
        "classes": [] if known is None else list(known.class_ids),
        "mpp": known and known.mpp,
        "vector_length": known and known.vector_length,
        "sha256": known and known.weights_sha256,
        "bytes": known and known.weights_bytes,
        "licence": known and known.card.licence,
        "summary": known and known.card.summary,
    }
