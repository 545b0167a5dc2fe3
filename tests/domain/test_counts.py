"""Promise: a count in a sentence reads right for one and for several."""

from __future__ import annotations

import pytest

from napari_cyto.domain.counts import counted


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (1, ("slide",), "1 slide"),
        (0, ("slide",), "0 slides"),
        (1204, ("cell",), "1,204 cells"),
        (2, ("box",), "2 boxes"),
        (2, ("entry",), "2 entries"),
        (2, ("day",), "2 days"),
        (1, ("slide is", "slides are"), "1 slide is"),
        (3, ("slide is", "slides are"), "3 slides are"),
    ],
)
def test_counts_agree_with_their_nouns(count: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(count, *words) == expected
