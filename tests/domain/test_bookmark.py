"""Promise: a typed or pasted place means one place, or is refused."""

from __future__ import annotations

import pytest

from napari_cyto.domain.bookmark import Bookmark, place_of_words, words_of_place
from napari_cyto.errors import CytoError


@pytest.mark.parametrize(
    ("words", "unit", "yx"),
    [
        ("1200, 850", "px", (850, 1200)),
        (" 1200\t850 ", "px", (850, 1200)),
        ("x=1200; y=850", "px", (850, 1200)),
        ("300, 212.5", "µm", (850, 1200)),
        ("0.3 0.2125 mm", "px", (850, 1200)),
        ("300,0; 212,5 um", "px", (850, 1200)),
        (words_of_place((850, 1200)), "µm", (850, 1200)),
    ],
)
def test_places_are_read_across_before_down(words: str, unit: str, yx: tuple[float, float]) -> None:
    assert place_of_words(words, unit, 0.25) == pytest.approx(yx)


@pytest.mark.parametrize("words", ["", "1200", "a, b", "1,5, 2,5", "1 2 3", "nan, 1", "5, 6 inches", "1e9, 2"])
def test_what_is_no_place_or_could_be_two_is_refused(words: str) -> None:
    with pytest.raises(CytoError, match="x, y"):
        place_of_words(words, "px", 0.25)


def test_without_the_size_of_a_pixel_um_mean_no_place() -> None:
    with pytest.raises(CytoError, match="size of a pixel"):
        place_of_words("1, 2 µm", "px", None)


def test_a_bookmark_comes_back_as_it_was_kept() -> None:
    made = Bookmark("s", (1.5, 2.5), 0.5, "koilocytes", "anna")
    assert Bookmark.of_json(made.to_json()) == made
