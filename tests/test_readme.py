"""Guards that the README says what the code does: its tables, its commands, its pictures."""

from __future__ import annotations

import importlib.util
import re
import stat
from pathlib import Path
from types import ModuleType

import pytest

from napari_cyto.cli.running import run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_tables_are_those_of_the_code() -> None:
    assert script("readme_tables").with_tables(README) == README, "run: python scripts/readme_tables.py"


def test_the_deviations_of_recipes_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert script("readme_tables").with_deviations(page) == page, "run: python scripts/readme_tables.py"


def test_ci_runs_the_readmes_test_command_and_nothing_cleverer() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1] in README
    assert [line for line in lines[:-1] if line and not line.startswith("#")] == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
    ]
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_its_pictures_are_there_and_light() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert 1_000 < (ROOT / picture).stat().st_size < 150_000, picture


def commands() -> list[list[str]]:
    """The ``napari-cyto`` lines of its shell blocks, as words after the program's name."""
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    found = [line.split("#")[0].split() for line in lines if "napari-cyto" in line]
    return [words[1:] for words in found if words[0].endswith("napari-cyto")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_its_commands_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each is asked for its help with its own verb and options, so that none is invented."""
    depth = 2 if words[0] in ("import", "export", "models") else 1
    assert run([*words[:depth], "--help"]) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for option in (word for word in words if word.startswith("--")):
        assert option in shown
