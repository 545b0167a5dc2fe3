"""HTML and SVG as values: whatever is not markup already is escaped, so that no name of a file can break a page."""

from __future__ import annotations

import html
from collections.abc import Iterable

from napari_cyto.domain.statistics.bootstrap import Estimate


class Html(str):
    """Markup that is ready; any other text is escaped before it becomes part of it."""

    __slots__ = ()


def element(name: str, *content: object, **attributes: object) -> Html:
    """Return an element.

    Parameters
    ----------
    name : str
        Its tag.
    *content : object
        ``Html`` as it stands, anything else as escaped text; None and False are left out.
    **attributes : object
        Escaped; ``cls`` is ``class``, an underscore a hyphen; None leaves an attribute out.
    """
    attributes_html = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{attributes_html}>{join(content)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Return the parts one after the other, escaped where they are not ``Html``."""
    return Html("".join(_ready(part) for part in parts if part is not None and part is not False))


def _ready(part: object) -> str:
    return part if isinstance(part, Html) else html.escape(str(part))


def shown(value: object, digits: int = 3) -> str:
    """Return a number as people read it; a dash for what is not known."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def percent(value: object, digits: int = 1) -> str:
    """Return a share as per cent; a dash for what is not known."""
    return "–" if not isinstance(value, int | float) else f"{100 * value:.{digits}f}\u00a0%"


def interval_text(estimate: Estimate | None) -> str:
    """Return the interval of an estimate, as ``0.91 to 0.97``; ``no interval`` where there is none."""
    low, high = _ends(estimate)
    return "no interval" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def percent_interval(estimate: Estimate | None) -> str:
    """Return the interval of an estimate of a share, as ``91.2 to 97.0 %``."""
    low, high = _ends(estimate)
    return "no interval" if low is None or high is None else f"{100 * low:.1f} to {percent(high)}"


def groups_text(estimate: Estimate | None) -> str:
    """Return how many groups an estimate rests on, with a star where they are few; a dash where nobody counted."""
    if estimate is None or estimate.groups is None:
        return "–"
    return f"{estimate.groups:,}{' *' if estimate.few_groups else ''}"


def _ends(estimate: Estimate | None) -> tuple[float | None, float | None]:
    return (None, None) if estimate is None else (estimate.low, estimate.high)
