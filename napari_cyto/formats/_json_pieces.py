"""Pieces of JSON for files that are put together line by line: as ``json.dumps`` writes them, letters as they are."""

from __future__ import annotations

import json

from napari_cyto.errors import FormatError

json_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""Any value as JSON."""


def json_number(value: float) -> str:
    """Return a number as JSON, several times as fast as the encoder does.

    Raises
    ------
    FormatError
        When it is not finite, which JSON cannot say.
    """
    if not isinstance(value, float):
        return json_text(value)
    if value - value != 0:
        raise FormatError(f"A score or coordinate is {value}, which no label file can hold; correct it in the project.")
    return float.__repr__(value)
