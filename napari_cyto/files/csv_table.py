"""A table as a CSV file that appears whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_cyto.files.atomic import write_text


def write_csv(target: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as UTF-8, whole or not at all; a file that somebody else wrote meanwhile is not replaced.

    Raises
    ------
    FormatError
        When the place cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(target, text.getvalue(), last_wins=False)
