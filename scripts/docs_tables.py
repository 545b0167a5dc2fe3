"""Write the tables of the documentation (keys, formats, recipes, options) from the code; run it after a change."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from napari_cyto.cli.verbs import build
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.formats import FORMATS
from napari_cyto.measurements import COLUMNS
from napari_cyto.training.outline.outline_config import outline_recipe
from napari_cyto.training.recipes import all_recipes
from napari_cyto.widgets.keys import keys_table, review_keys_table

ROOT = Path(__file__).resolve().parents[1]


def pages() -> list[Path]:
    """Return the README and every page of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def keys_markdown() -> str:
    """Return the keys as a Markdown table."""
    return _table(("key", "does"), ((_code(keys), sentence) for keys, sentence in keys_table()))


def review_keys_markdown() -> str:
    """Return the keys of the review gallery as a Markdown table."""
    rows = ((keys if keys.startswith("Arrow") else _each_code(keys), words) for keys, words in review_keys_table())
    return _table(("key", "does"), rows)


def formats_markdown() -> str:
    """Return the label formats as a Markdown table."""
    rows = ((f"`{f.name}`", f.title, f.target_kind, f.description) for f in FORMATS.values())
    return _table(("name", "format", "is a", "what it carries"), rows)


def recipes_markdown() -> str:
    """Return the recipes as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        (f"`{c.name}`", c.model.kind, f"`{c.model.backbone}`", c.summary) for c in all_recipes()
    ]
    rows.append((f"`{outline_recipe().name}`", "model of outlines", "its own", outline_recipe().summary))
    return _table(("recipe", "trains a", "backbone", "what for"), rows)


def deviations_markdown() -> str:
    """Return in what each recipe is not as its source says, as Markdown lists."""
    each = [(c.name, c.source, c.deviations) for c in all_recipes()]
    each.append((outline_recipe().name, outline_recipe().source, outline_recipe().deviations))
    lists = [
        f"`{name}` ({source}):\n\n" + "".join(f"- {d}\n" for d in deviations)
        for name, source, deviations in each
        if deviations
    ]
    return "\n".join(lists)


def verbs() -> list[str]:
    """Return the verbs of the command line."""
    return sorted(_command().commands)


def depth_of(words: list[str]) -> int:
    """Return how many of the words after ``napari-cyto`` name the verb: two where a verb has others below it."""
    below = getattr(_command(words[0]).commands.get(words[0]), "commands", {})
    return 2 if len(words) > 1 and words[1] in below else 1


def verbs_markdown() -> str:
    """Return the verbs of the command line, with what each does, as a Markdown table linked to their pages."""
    rows = ((f"[`{name}`]({name}.md)", _brief(command)) for name, command in sorted(_command().commands.items()))
    return _table(("verb", "what it does"), rows)


def schemes_markdown() -> str:
    """Return the classes of each class scheme that ships, as a Markdown table."""
    rows = ((f"`{s.name}`", f"`{c.id}`", c.name, c.key) for s in map(preset, PRESETS) for c in s.classes)
    return _table(("scheme", "class", "name", "key"), rows)


def layers_markdown() -> str:
    """Return what each part of the package holds, may import of the others and may use, as a Markdown table."""
    rules = _module(ROOT / "tests" / "test_architecture.py")
    rows = []
    for part, imports in rules.MAY_IMPORT.items():
        file = ROOT / "napari_cyto" / part / "__init__.py"
        if file.is_file() and not part.startswith("_"):
            holds = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]
            uses = sorted(rules.MAY_USE[part], key=str.lower)
            rows.append((f"`{part}`", holds, ", ".join(sorted(imports)), ", ".join(uses)))
    return _table(("part", "what it holds", "may import", "may use"), rows)


def measurements_markdown() -> str:
    """Return the columns of a table of measurements."""
    rows = [(f"`{c.name}`", c.title, c.formula, c.source) for c in COLUMNS]
    return _table(("column", "what it is", "formula", "source"), rows)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    # As pytest finds what the tests share.
    sys.path.insert(0, str(ROOT / "tests/support"))
    spec.loader.exec_module(module)
    return module


def options_markdown(verb: str) -> str:
    """Return what a verb takes, as Markdown: a table, or one for each verb below it, or for all formats and for some.

    Parameters
    ----------
    verb : str
        Such as ``predict``, ``models`` or ``export``; or ``predict slide``, a verb below another.
    """
    if " " in verb:
        first, second = verb.split(" ")
        return _options_table(_command(first, second).commands[first].commands[second].params)
    command = _command(verb).commands[verb]
    names = getattr(command, "commands", {})
    if not names:
        return _options_table(command.params)
    below = {name: _command(verb, name).commands[verb].commands[name] for name in names}
    if verb in ("import", "export"):
        others = {name: below.pop(name) for name in sorted(below.keys() - FORMATS.keys())}
        return "\n".join([_options_of_formats(below), *(_options_of_one(verb, n, c) for n, c in others.items())])
    return "\n".join(_options_of_one(verb, name, command) for name, command in below.items())


def _options_of_one(verb: str, name: str, command: Any) -> str:
    return f"**`{verb} {name}`**: {_brief(command)}\n\n{_options_table(command.params)}"


def _options_of_formats(commands: dict[str, Any]) -> str:
    """Return one table of what every format takes, and one of what only some take."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for name, command in commands.items():
        for parameter in _shown(command.params):
            rows.setdefault(_row(parameter), []).append(name)
    common = [row for row, names in rows.items() if len(names) == len(commands)]
    special = [(*row, ", ".join(f"`{n}`" for n in names)) for row, names in rows.items() if len(names) < len(commands)]
    return (
        "All formats:\n\n"
        + _table(("option", "value", "what it does"), common)
        + "\nSome formats:\n\n"
        + _table(("option", "value", "what it does", "formats"), special)
    )


def _options_table(parameters: Iterable[Any]) -> str:
    return _table(("option", "value", "what it does"), (_row(p) for p in _shown(parameters)))


def _shown(parameters: Iterable[Any]) -> list[Any]:
    return [p for p in parameters if not getattr(p, "hidden", False) and "--help" not in p.opts]


def _row(parameter: Any) -> tuple[str, str, str]:
    """Return an argument or option of the command line as name, value and sentence."""
    if not any(o.startswith("-") for o in parameter.opts):
        return _values(parameter.metavar or parameter.name.upper()), "", _plain(parameter.help)
    names = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
    flag = getattr(parameter, "is_flag", False)
    value = "" if flag else (parameter.metavar or "")
    several = " (may be repeated)" if parameter.multiple and "repeated" not in (parameter.help or "") else ""
    return names, _values(value), _plain(parameter.help) + several


def _values(metavar: str) -> str:
    """Return what may stand there; code hosts and MkDocs differ in how a bar within code in a table is written."""
    return ", ".join(f"`{value}`" for value in metavar.split("|") if value)


def _plain(sentence: str | None) -> str:
    return " ".join((sentence or "").split())


def _brief(command: Any) -> str:
    return _plain((command.help or "").split("\n\n")[0])


@cache
def _command(*words: str) -> Any:
    """Return the command line, with what the verb in ``words`` needs."""
    return typer.main.get_command(build(list(words)))


def with_tables(text: str) -> str:
    """Return the text of a page with its tables made anew."""
    makers: dict[str, Callable[[], str]] = {
        "keys": keys_markdown,
        "review keys": review_keys_markdown,
        "formats": formats_markdown,
        "recipes": recipes_markdown,
        "deviations": deviations_markdown,
        "verbs": verbs_markdown,
        "layers": layers_markdown,
        "schemes": schemes_markdown,
        "measurements": measurements_markdown,
    }

    def made(found: re.Match[str]) -> str:
        name = found["name"]
        verb = name.removeprefix("options of ")
        table = options_markdown(verb) if verb != name else makers[name]()
        return f"{found['begin']}\n{table}\n{found['end']}"

    pattern = r"(?P<begin><!-- begin (?P<name>[a-z -]+?) -->\n).*?(?P<end><!-- end (?P=name) -->)"
    return re.sub(pattern, made, text, flags=re.DOTALL)


def _code(keys: str) -> str:
    """Return key names in the type of code; what the mouse does stays prose."""
    if " to " in keys:
        return " to ".join(f"`{key}`" for key in keys.split(" to "))
    if keys[0].isupper() and not any(word in keys for word in ("Click", "Wheel", "drag")):
        return " or ".join(f"`{key}`" for key in keys.split(" or "))
    return keys


def _each_code(keys: str) -> str:
    return re.sub(r"\S+", lambda found: found[0] if found[0] in ("or", "to") else f"`{found[0]}`", keys)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(columns)]
    lines += [["---"] * len(lines[0])]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if with_tables(text) != text:
            page.write_text(with_tables(text), encoding="utf-8")
            print(page.relative_to(ROOT))
