"""Write the tables of README and docs (keys, formats, recipes) from what they describe: run it after changing one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from napari_cyto.formats import FORMATS
from napari_cyto.session.keys import keys_table
from napari_cyto.session.review_keys import review_keys_table
from napari_cyto.training.recipes import all_recipes

DOCS = Path(__file__).resolve().parents[1] / "docs"
README = Path(__file__).resolve().parents[1] / "README.md"


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
    rows = ((f"`{c.name}`", c.model.kind, f"`{c.model.backbone}`", c.summary) for c in all_recipes())
    return _table(("recipe", "trains a", "backbone", "what for"), rows)


def deviations_markdown() -> str:
    """Return in what each recipe is not as its source says, as Markdown lists."""
    told = [c for c in all_recipes() if c.deviations]
    lists = [f"`{c.name}` ({c.source}):\n\n" + "".join(f"- {d}\n" for d in c.deviations) for c in told]
    return "\n".join(lists)


def with_deviations(text: str) -> str:
    """Return the text of ``docs/training.md`` with its lists of deviations made anew."""
    return re.sub(
        r"(<!-- deviations[^>]*-->\n).*?(<!-- end of deviations -->)",
        lambda found: f"{found[1]}\n{deviations_markdown()}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


def with_tables(text: str) -> str:
    """Return the README's text with its tables made anew."""
    for name, table in (
        ("keys", keys_markdown()),
        ("review keys", review_keys_markdown()),
        ("formats", formats_markdown()),
        ("recipes", recipes_markdown()),
    ):
        text = re.sub(
            rf"(<!-- {name}[^>]*-->\n).*?(<!-- end of {name} -->)",
            lambda found, table=table: f"{found[1]}{table}{found[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


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
    page = DOCS / "training.md"
    page.write_text(with_deviations(page.read_text(encoding="utf-8")), encoding="utf-8")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
