"""Guards that README and documentation say what the code does: tables, commands, images, links, and what is built."""

from __future__ import annotations

import configparser
import importlib.util
import re
import stat
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from napari_cyto.cli.entry import run

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
TEXT = "\n".join(TEXTS.values())


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return script("docs_tables")


@pytest.mark.parametrize("page", TEXTS)
def test_tables_are_those_of_the_code(page: str, tables: ModuleType) -> None:
    assert tables.with_tables(TEXTS[page]) == TEXTS[page], "run: python scripts/docs_tables.py"


def test_no_table_is_left_out() -> None:
    for name in ("keys", "review keys", "formats", "recipes", "deviations", "verbs", "layers", "schemes"):
        assert f"<!-- begin {name} -->" in TEXT


def test_every_verb_has_a_page_with_its_options(tables: ModuleType) -> None:
    for verb in tables.verbs():
        assert f"<!-- begin options of {verb} -->" in TEXTS[f"docs/verbs/{verb}.md"]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(napari_cyto(?:\.\w+)+)`", TEXT))))
def test_modules_that_the_pages_name_exist(name: str) -> None:
    path = ROOT.joinpath(*name.split("."))
    assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_files_that_the_pages_name_exist() -> None:
    named = set(re.findall(r"\b(?:tests|scripts|benchmarks)/[\w/-]+\.(?:py|md|txt)\b", TEXT))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_ci_runs_the_readmes_test_command_and_nothing_cleverer() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1] in TEXTS["README.md"]
    assert lines[-1] in TEXTS["docs/testing.md"]
    assert [line for line in lines[:-1] if line and not line.startswith("#")] == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
    ]
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_the_readme_stays_short() -> None:
    assert README.stat().st_size <= 10_000


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_images_are_there_and_light_and_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for image in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert 1_000 < (page.parent / image).stat().st_size < 150_000, image
    for link in re.findall(r"[^!]\[[^\]]+\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).is_file(), link


def test_every_page_is_in_the_menu() -> None:
    def listed(node: object) -> list[str]:
        if isinstance(node, str):
            return [node]
        children = node.values() if isinstance(node, dict) else node
        assert not isinstance(children, str)
        return [page for child in children for page in listed(child)]  # type: ignore[union-attr]

    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(listed(menu)) == [page.relative_to(DOCS).as_posix() for page in PAGES if page != README]


def test_the_site_is_built_from_what_the_extra_names_and_every_part_of_it_is_published() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    docs = tox["testenv:docs"]
    assert docs["deps"].strip().splitlines() == project["project"]["optional-dependencies"]["docs"]
    assert "mkdocs build --quiet --strict" in docs["commands"]
    assert "docs" in tox["tox"]["env_list"].split(", ")
    assert {"docs", "mkdocs.yml", "scripts"} <= set(project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


@pytest.mark.parametrize(
    ("html", "hosts"),
    [
        ('<link rel="stylesheet" href="https://fonts.googleapis.com/css?family=Roboto">', 1),
        ("<script async src=//unpkg.com/mermaid></script>", 1),
        ('<img alt="" src="http://example.org/a.png">', 1),
        ("<style>@import 'https://example.org/a.css'; p { background: url(//example.org/b.png) }</style>", 2),
        ('<a href="https://napari.org">napari</a><link rel="canonical" href="https://example.org/">', 0),
        ('<script src="javascripts/bundle.js"></script><img src="images/window.jpg">', 0),
    ],
)
def test_a_page_that_fetches_something_fails_the_build(html: str, hosts: int) -> None:
    assert len(script("site_without_network").fetched(html)) == hosts


def commands() -> list[list[str]]:
    """The ``napari-cyto`` lines of all shell blocks, as words after the program's name."""
    blocks = re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
    lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    found = [line.split("#")[0].split() for line in lines if "napari-cyto" in line]
    unique = {tuple(words[1:]) for words in found if words and words[0].endswith("napari-cyto")}
    return sorted(list(words) for words in unique)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_exist(words: list[str], capsys: pytest.CaptureFixture[str], tables: ModuleType) -> None:
    """Each is asked for its help with its own verb and options, so that none is invented."""
    depth = tables.depth_of(words)
    if list(words[:2]) == ["predict", "slide"]:
        depth = 2
    assert run([*words[:depth], "--help"]) == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in shown
