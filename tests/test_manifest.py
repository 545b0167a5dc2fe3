"""Guards the plugin's manifest: napari can read it, and what it names is what exists."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import entry_points, metadata
from pathlib import Path

import pytest
from npe2 import PluginManifest

PACKAGE = Path(__file__).resolve().parents[1] / "napari_cyto"
SLIDE_PATTERNS = {"*.mrxs", "*.svs", "*.ndpi", "*.scn", "*.bif", "*.vms", "*.tif", "*.tiff", "*.dcm"}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(PACKAGE / "napari.yaml")


def test_it_names_our_package_and_an_icon_that_ships(manifest: PluginManifest) -> None:
    assert manifest.name == metadata("napari-cyto")["Name"]
    package, _, resource = str(manifest.icon).partition(":")
    assert package == "napari_cyto"
    assert (PACKAGE / resource).is_file()
    (entry,) = [e for e in entry_points(group="napari.manifest") if e.name == "napari-cyto"]
    assert entry.value == "napari_cyto:napari.yaml"


def test_the_hub_finds_a_plugin() -> None:
    known = metadata("napari-cyto")
    assert "Framework :: napari" in known.get_all("Classifier")
    assert known["Summary"]
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["readme"] == "README.md"


def test_every_slide_format_and_our_project_are_read(manifest: PluginManifest) -> None:
    patterns = {p for r in manifest.contributions.readers or [] for p in r.filename_patterns}
    assert patterns >= SLIDE_PATTERNS | {"*.cyto"}


def test_every_command_names_a_function_that_is_there(manifest: PluginManifest) -> None:
    for command in manifest.contributions.commands or []:
        module, _, name = str(command.python_name).partition(":")
        file = PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}, command.id


def test_everything_else_names_a_command(manifest: PluginManifest) -> None:
    known = {c.id for c in manifest.contributions.commands or []}
    of = manifest.contributions
    used = {c.command for c in (*(of.readers or []), *(of.writers or []), *(of.widgets or []))}
    used |= {s.command for s in of.sample_data or []}
    used |= {i.command for items in of.menus.values() for i in items if hasattr(i, "command")}
    assert used == known
