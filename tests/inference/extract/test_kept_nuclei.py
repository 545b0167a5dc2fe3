"""Guards what an interrupted extraction keeps: rings as they were, and nothing of another request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_cyto.inference.extract._kept_nuclei import KeptNuclei, NucleiDependOn, kept_beside, rings_of, rows_of
from napari_cyto.inference.outline.computed import FoundOutline
from napari_cyto.inference.outline.outlines import OutlinedCell

REQUEST = NucleiDependOn(slide="f" * 12, models="a b", mpp=0.25, region=None, score_from=None)
FAR = (90_000.25, 150_000.75)


def found(ring: tuple[tuple[float, float], ...], *, damaged: bool = False) -> FoundOutline:
    return FoundOutline(OutlinedCell(FAR, ring, (), 0.9), damaged)


def test_outlines_are_kept_to_a_hundredth_of_a_pixel_wherever_they_lie() -> None:
    ring = tuple((FAR[0] + 9.137 * np.sin(a), FAR[1] + 9.137 * np.cos(a)) for a in np.linspace(0, 6, 24))
    rows = rows_of([found(()), found(ring), found(ring, damaged=True)])
    rings, damaged = rings_of(rows, np.array([FAR] * 3))
    assert (len(rings), damaged) == (1, 1)
    np.testing.assert_allclose(rings[0], ring, atol=1e-3)


def test_a_run_goes_on_where_it_stopped_and_starts_over_for_another_request(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    first = KeptNuclei(folder, REQUEST)
    assert first.news is first.centres_yx is None
    first.keep_centres([FAR, (1.5, 2.5)])
    first.keep_outlines(3, rows_of([found(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0)))]))
    with (folder / "outlines.bin").open("ab") as stream:
        stream.write(b"cyt2 half a record of a process that was killed")

    second = KeptNuclei(folder, REQUEST)
    assert second.news == "resuming: all nuclei are found, 1 batch of them outlined"
    assert list(second.outlines()) == [3]
    assert second.centres_yx is not None
    np.testing.assert_allclose(second.centres_yx, [FAR, (1.5, 2.5)], atol=0.01)

    other = KeptNuclei(folder, replace(REQUEST, mpp=0.5))
    assert other.news == "starting over: the µm per px changed"
    assert other.centres_yx is None
    assert not other.outlines()


def test_what_is_kept_lies_in_the_project_or_beside_the_crops(tmp_path: Path) -> None:
    assert kept_beside(tmp_path / "a.cyto") == tmp_path / "a.cyto" / "extract"
    assert kept_beside(tmp_path / "crops") == tmp_path / "crops.extract"
