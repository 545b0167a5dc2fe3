"""Promise: what a person reads keeps to the glossary: the words of its "not" column are nowhere to be read."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest
import typer
import yaml
from syntax_trees import tree_of

from napari_cyto.cli.verbs import build

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"

# Entries of the "not" column that say more than the words to look for, and what to look for instead.
MEANT = {
    "waiting": r"(?:are|is|still|\d|\}) waiting\b(?! for| to)",  # the state of a cell; people may wait for a job
    "sides": r"(?:training|test|validation|both|each|which|one|published) sides?\b(?! of the (?:slide|box|image))",
    "Atypical": r"(?!)",  # "Atypical, undetermined" was one name; the word alone is part of official ones
    "undetermined": r"\bAtypical, undetermined\b",
    "rubbish": r"\b[Rr]ubbish\b",
    "bothcells in windows": r"\bbothcells\b",
    "preparation not said": r"\bpreparation not said\b",
    "take out": r"\b(?:take|takes|took|taken|taking) (?:\w+ ){0,3}out of the project\b",
}
# Dialect that no entry of the column names.
BESIDES = (
    r"(?:,|;) (?:but|not) \S+ came\b|\bbut .{1,40} came\b",  # Expected X, got Y
    r"\b(?:takes?|took) (?:it|this|them) back\b|\bcan be taken back\b",  # undo
    r"\bdoes again\b",  # redo
)
# Where a word is somebody else's, or means something else.
EXCEPTIONS = (
    r"(?:question|quotation|byte order) marks?",
    r"(?:[Pp]oint|region) proposals?",  # of the detectors P2P and Faster R-CNN
    r"`[^`\n]*`",  # ids, options and files as they are written in code
    r"\brubbish=\S+|\S+=rubbish\b|\brubbish-\w+|\b(?:healthy|unhealthy|bothcells|rubbish)(?:, | and | or )(?=\w)",
    r"Schüffler|Koss",
)
_FORMS = r"(?:e?s|e?d|ing)?"
_SQL = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|DROP|BEGIN|WITH|FROM|WHERE|JOIN|AND)\b")
# Where one word alone is shown: a label, a title, a heading.
_LABEL = re.compile(r"[A-Z][a-z]+[.…]?")


@dataclass(frozen=True)
class Shown:
    """A text that a person can see, and where it is written."""

    place: str
    line: int
    text: str

    @property
    def room(self) -> str:
        """The package, or the folder, to which the text belongs."""
        parts = Path(self.place).parts
        return "/".join(parts[:2]) if parts[0] == "napari_cyto" and len(parts) > 2 else parts[0]


@cache
def avoided() -> re.Pattern[str]:
    """Return what matches the words of the glossary's "not" column."""
    section = GLOSSARY.read_text(encoding="utf-8").partition("## For developers")[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    entries = [e.strip() for cells in rows[2:] for e in cells[2].split(",") if e.strip()]
    patterns = {MEANT.get(e, rf"\b{re.escape(e)}{'' if ' ' in e else _FORMS}\b") for e in entries}
    return re.compile("|".join(sorted(patterns | set(BESIDES))), re.IGNORECASE)


def faults(text: str) -> list[str]:
    """Return the avoided words in ``text``."""
    for exception in EXCEPTIONS:
        text = re.sub(exception, "~", text)
    return [m.group() for m in avoided().finditer(text)]


def _literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string that is no docstring; what an f-string fills in is written as {}."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            inner |= {id(v) for v in node.values}
            specs = [v.format_spec for v in node.values if isinstance(v, ast.FormattedValue) and v.format_spec]
            inner |= {id(s) for s in specs}
        if isinstance(node, ast.Dict):
            inner |= {id(k) for k in node.keys if isinstance(k, ast.Constant) and " " not in str(k.value)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)


def _is_shown(text: str) -> bool:
    """Whether ``text`` is for people: a sentence or a label, not an id, a path, a statement of SQL, a format of Qt."""
    if _SQL.match(text) or "://" in text or re.search(r"\{[^{}]*:[^{}]*;", text):
        return False
    return " " in text.strip() or _LABEL.fullmatch(text) is not None


def _code() -> Iterator[Shown]:
    for path in sorted((ROOT / "napari_cyto").rglob("*.py")):
        place, tree = path.relative_to(ROOT).as_posix(), tree_of(path)
        for line, text in _literals(tree):
            if _is_shown(text):
                yield Shown(place, line, text)
        for line, noun in _nouns(tree):
            yield Shown(place, line, noun)


def _nouns(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the single words that are put behind a number, as in ``counted(3, "cell")``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].strip("_") == "counted":
            yield from (
                (a.lineno, a.value) for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
            )


def _values(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _values(each)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif isinstance(value, str):
        yield value


def _shipped() -> Iterator[Shown]:
    """Yield what the manifest, class schemes, recipes and model cards say."""
    files = [ROOT / "napari_cyto" / "napari.yaml", *sorted((ROOT / "resources").rglob("*.yaml"))]
    files += sorted((ROOT / "resources").rglob("*.json"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        place = path.relative_to(ROOT).as_posix().replace("napari_cyto/", "resources/")
        for value in _values(data):
            if _is_shown(value):
                yield Shown(place, 0, value)


def _help() -> Iterator[Shown]:
    """Yield the help of each verb; what its options say stands in the code."""

    def leaves(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        yield path, command
        for name, each in getattr(command, "commands", {}).items():
            yield from leaves((*path, name), each)

    for verb in typer.main.get_command(build([])).commands:  # type: ignore[attr-defined]
        for path, command in leaves((verb,), typer.main.get_command(build([verb])).commands[verb]):  # type: ignore[attr-defined]
            yield Shown("napari_cyto/cli/--help of " + " ".join(path), 0, command.help or "")


def _pages() -> Iterator[Shown]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if path == GLOSSARY:
            continue
        is_code = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            is_code ^= line.lstrip().startswith("```")
            if not is_code:
                yield Shown(path.relative_to(ROOT).as_posix(), number, line)


@cache
def _shown() -> tuple[Shown, ...]:
    return (*_code(), *_shipped(), *_help(), *_pages())


@cache
def violations() -> dict[str, list[str]]:
    """Return, for each room, the texts with avoided words."""
    found: dict[str, list[str]] = {}
    for shown in _shown():
        if words := faults(shown.text):
            line = f"{shown.place}:{shown.line}: {', '.join(words)}: {shown.text}"
            found.setdefault(shown.room, []).append(line)
    return found


def test_no_room_speaks_the_words_that_the_glossary_avoids() -> None:
    """To see all that remain: ``python tests/test_words.py``."""
    over = {room: texts for room, texts in violations().items() if texts}
    assert not over, "\n".join(text for texts in over.values() for text in texts)


@pytest.mark.parametrize(
    "text",
    [
        "Go through the marks",
        "Marked as HSIL",
        "3 proposals",
        "Show the picture",
        "The cell was judged",
        "{} waiting",
        "What it is worth",
        "Smears on both sides",
        "Rubbish (cannot be judged)",
        "Take the slide out of the project",
        "Expected a number, but 'x' came",
        "Atypical, undetermined",
    ],
)
def test_the_words_of_the_not_column_are_found(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "Add a question mark",
        "the mapping `rubbish=delete`",
        "Waiting for the lock",
        "Atypical squamous cells of undetermined significance",
        "benchmark",
        "No side is longer than 2,000 px",
        "A remark of the import",
    ],
)
def test_other_uses_pass(text: str) -> None:
    assert not faults(text)


def test_texts_are_found_where_they_are() -> None:
    rooms = {s.room for s in _shown()}
    assert rooms >= {"napari_cyto/widgets", "napari_cyto/cli", "resources", "docs", "README.md"}
    tree = ast.parse('"""A mark."""\nx = {"mark": f"{a} marks"}\nclass A:\n    """A mark."""\n    b = "a mark"')
    assert sorted(_literals(tree)) == [(2, "{} marks"), (5, "a mark")]


# Words of the "not" columns that no name in the code has, and those that mean something else in names of the package.
UNNAMED = {
    *(
        "asked",
        "errand",
        "judge",
        "judged",
        "judges",
        "judging",
        "picture",
        "pictures",
        "propose",
        "proposed",
        "proposer",
    ),
    *("proposal", "proposals", "rubbish", "told", "unjudged", "untold", "verdict", "verdicts", "wanted"),
}
UNNAMED_IN_PACKAGE = {"mark", "marks", "marked", "sides"}
# Why a name keeps such a word: it is written in files or typed by users, or it is the word of another field.
NAMED_SO = {
    "any_picture": "an option of predict, and a key of its requests",
    "include_proposed": "an option of exports",
    "highest_proposed, judged, judged_before, proposed, proposed_cells": "keys of reports and results",
    "picture": "a key of bundles: what colours were matched to",
    "AnnotatedProposals, PROPOSALS, Proposals, _per_proposal, _proposals": "what P2P and Faster R-CNN call theirs",
    "proposal, proposals": "of the same",
    "NDPI_MARK, _MARK, _MARKS, _OLD_MARK, mark, process_mark": "signatures of files and processes",
    "marked": "whether a text has a byte or a key that marks its kind",
    "SIDES_PX, FIELD_SIDES_PX, sides_px": "lengths",
}


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield each name that a module gives: to classes, functions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@cache
def _parts(name: str) -> frozenset[str]:
    return frozenset(part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def _avoided_names(tree: ast.Module, words: set[str]) -> set[str]:
    """Return the names of a module that have one of ``words``."""
    return {name for name in set(_names(tree)) if words & _parts(name)}


def test_no_name_in_the_code_has_the_words_that_the_glossary_avoids() -> None:
    allowed = {name for names in NAMED_SO for name in names.split(", ")}
    found = set()
    for part in ("napari_cyto", "tests", "benchmarks", "scripts"):
        words = UNNAMED | UNNAMED_IN_PACKAGE if part == "napari_cyto" else UNNAMED
        for path in (ROOT / part).rglob("*.py"):
            names = _avoided_names(tree_of(path), words) - allowed
            # A test of those detectors may well be called by their word.
            names = {n for n in names if not (n.startswith("test_") and "proposals" in n)}
            found |= {f"{path.relative_to(ROOT).as_posix()}: {name}" for name in names}
    assert found == set()
    sample = "def a(told): b.is_told_so = 1\nclass MarkOf: ..."
    assert _avoided_names(ast.parse(sample), {"told", "mark"}) == {"told", "is_told_so", "MarkOf"}


if __name__ == "__main__":
    for name, texts in sorted(violations().items()):
        print(f"## {name}: {len(texts)}", *texts, sep="\n")
