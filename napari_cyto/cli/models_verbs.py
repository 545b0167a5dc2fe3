"""Verbs of the model library: ``models list``, ``show``, ``add``, ``remove``, ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_cyto.cli.common_options import AsJson
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.models.card import card_text
from napari_cyto.models.library import (
    Entry,
    add_model,
    bundle_named,
    list_models,
    remove_model,
    verify_model,
)
from napari_cyto.models.torch_installed import has_torch

Named = Annotated[str, typer.Argument(metavar="NAME", help="A name that `models list` shows, or a bundle's folder.")]
Own = Annotated[str, typer.Argument(metavar="NAME", help="A name that `models list` shows.")]
Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder with model.json and model.safetensors.")]


def fill(group: typer.Typer) -> None:
    """Add the library's verbs to ``group``."""
    for name, verb in (("list", list_), ("show", show), ("add", add), ("remove", remove), ("verify", verify)):
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
    rows = [(f["name"], f["kind"], ", ".join(f["classes"]), f["licence"], f["origin"]) for f in map(_facts, found)]
    print_table("Models", ("name", "kind", "classes", "licence", "origin"), rows)
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


def add(bundle: Folder, as_json: AsJson = False) -> None:
    """Check a model and copy it into your library."""
    _report(add_model(bundle), "added", as_json)


def remove(name: Own, as_json: AsJson = False) -> None:
    """Remove a model from your library; its files there are deleted."""
    _report(remove_model(name), "removed", as_json)


def verify(name: Named, as_json: AsJson = False) -> None:
    """Check a model: files, hash and tensors, and, where PyTorch is installed, that it loads and gives finite scores.

    Exit code 0: it is intact; 2: it is not, and one sentence says why.
    """
    found = verify_model(name, build_network=has_torch())
    if as_json:
        print_json(found)
    else:
        print(f"{found['id']}: intact (checked: {', '.join(found['checked'])})")


def _report(entry: Entry, done: str, as_json: bool) -> None:
    if as_json:
        print_json({done: entry.name, "path": str(entry.path)})
    else:
        print_facts([(done, entry.name), ("folder", entry.path)])


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
        "sha256": known and known.weights_sha256,
        "bytes": known and known.weights_bytes,
        "licence": known and known.card.licence,
        "summary": known and known.card.summary,
    }
