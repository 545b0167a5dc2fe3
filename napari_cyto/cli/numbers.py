"""Options of the command line that are numbers: what is out of its range is refused before any work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_cyto.domain.quantities import Quantity
from napari_cyto.errors import CytoError


def number(flag: str, quantity: Quantity) -> Callable[[Any], Any]:
    """Return what reads the number of an option.

    Parameters
    ----------
    flag : str
        What the option is called, for the sentence.
    quantity : Quantity
        Its range; the parser has it as ``quantity``.
    """

    def parse(words: Any) -> Any:
        try:
            return quantity.parsed(str(words))
        except ValueError as error:
            raise CytoError(f"{flag}: {error}.") from None

    parse.quantity = quantity  # type: ignore[attr-defined]
    return parse
