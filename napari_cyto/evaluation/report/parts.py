"""Building blocks of a report's page."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cyto.domain.statistics.bootstrap import Estimate
from napari_cyto.evaluation.report.content import Example
from napari_cyto.evaluation.report.markup import Html, element, groups_text, percent, percent_interval


def section(title: str, *content: object) -> Html:
    """Return a titled part of the page that is not torn apart in print where it fits on one."""
    return element("section", element("h2", title), *content)


def tile(title: str, estimate: Estimate | None, value: str = "", note: str = "") -> Html:
    """Return one large number: an estimate with its interval, or a value with a note."""
    if estimate is not None:
        value, note = percent(estimate.value), percent_interval(estimate)
        note += f"; {groups_text(estimate)} groups" if estimate.groups is not None else ""
    return element("div", element("span", title), element("b", value), element("small", note), cls="tile")


def gallery(title: str, words: str, examples: Sequence[Example]) -> Html | None:
    """Return cells as pictures, None where there are none."""
    if not examples:
        return None
    images = element("div", *(e.figure() for e in examples), cls="gallery")
    return section(title, element("p", words, cls="note"), images)
