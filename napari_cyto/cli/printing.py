"""Results on stdout: JSON for machines, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, and nothing else, on stdout; in ASCII, which every system's pipes carry unharmed."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values as two columns."""
    rows = [(name, "-" if value in (None, "") else str(value)) for name, value in facts]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; as wide as it needs when stdout is a file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
