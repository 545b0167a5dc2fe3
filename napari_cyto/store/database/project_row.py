"""The one row in which a project's database says what project it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_cyto.domain.classes import ClassScheme, scheme_from_dict
from napari_cyto.errors import SchemeError
from napari_cyto.store._validity import MOMENT, NUMBER, TEXT, UNREADABLE, Check, RowFault, check_row, json_of

_CHECKS: dict[str, Check] = {"pk": NUMBER, "name": TEXT, "revision": NUMBER, "created_us": MOMENT}


def check_head(row: Mapping[str, Any]) -> None:
    """Refuse a row of ``project`` that this program never writes, but for its classes.

    Raises
    ------
    RowFault
        When this program never writes such a row.
    """
    check_row("project", row["pk"], row, _CHECKS)


def scheme_of(pk: int, text: object) -> ClassScheme:
    """Return the classes that the text of a row of ``project`` means.

    Raises
    ------
    RowFault
        When it means none.
    """
    value = json_of(text, "project", pk, "scheme")
    try:
        return scheme_from_dict(value)
    except SchemeError as error:
        raise RowFault("project", pk, "scheme", text, f"a class scheme ({str(error).rstrip('.')})") from error
    except UNREADABLE as error:
        raise RowFault("project", pk, "scheme", text, "a class scheme") from error
