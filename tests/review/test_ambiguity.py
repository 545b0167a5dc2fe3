"""Guards ambiguous cells: who is among them, in which order, where sets are void, and what is calibrated locally."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_sets import CLASSES, LOOK, OTHER_SCANNER, made_sets

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.set_calibration import SetRates, calibrated
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.review.ambiguity import ambiguity_of, ambiguous_ids
from napari_cyto.review.local_calibration import reviewed_cells
from napari_cyto.review.order import gather
from napari_cyto.review.predictions import with_review
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import keep_looks, keep_sets

ORIGIN = "model:made@" + "0" * 64
SHARES = {
    "sure": (0.95, 0.05, 0, 0, 0, 0),
    "two": (0.5, 0.45, 0.05, 0, 0, 0),
    "spans": (0.6, 0, 0, 0.1, 0.2, 0.1),
    "none": (0.29, 0.29, 0.22, 0.1, 0.05, 0.05),
}


def cell(slide: str, y: float, shares: tuple[float, ...], **changes: object) -> Annotation:
    scores = tuple(zip(CLASSES, (0.8 * share for share in shares), strict=True))
    class_id = CLASSES[int(np.argmax(shares))]
    values = {"class_id": class_id, "author": "made", "origin": ORIGIN, "scores": scores} | changes
    return Annotation(slide_id=slide * 32, geometry=Point(y, 50.0), status=Status.UNREVIEWED, **values)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as opened:
        opened.add_slides([SlideRecord(name=n, id=n * 32, size_hw=(4000, 4000)) for n in "ab"])
        keep_sets(opened, ORIGIN, made_sets(), is_local=False)
        keep_looks(opened, {"a" * 32: LOOK, "b" * 32: OTHER_SCANNER})
        yield opened


def test_spanning_sets_come_first_and_void_ones_are_not_used(project: Project) -> None:
    cells = {name: cell("a", 100.0 * n, shares) for n, (name, shares) in enumerate(SHARES.items())}
    foreign = cell("b", 10.0, SHARES["two"])
    other = cell("a", 900.0, SHARES["two"], origin="model:other@" + "1" * 64)
    project.apply(edits.add([*cells.values(), foreign, other], "Predict"), "made")
    found = ambiguity_of(project, project.annotations())
    words = {name: found.sets[each.id].words for name, each in cells.items()}
    assert words == {"sure": "NILM", "two": "NILM, ASC-US", "spans": "NILM, HSIL", "none": "no class"}
    assert [found.sets[cells[name].id].spans for name in SHARES] == [False, False, True, False]
    expected = tuple(cells[name].id for name in ("spans", "two", "none"))
    assert ambiguous_ids(project) == found.ambiguous == expected
    with pytest.raises(CytoError, match=r"There are no ambiguous cells to read. .*scanner"):
        ambiguous_ids(project, ["b" * 32])
    assert any("mirax 40x" in sentence and "1 cell" in sentence for sentence in found.sentences)
    assert any("calibrate-sets" in sentence for sentence in found.sentences)

    listed = gather(project, ReviewQuery(sort=Sort.AMBIGUOUS, control_share=0.0))
    assert tuple(each.id for each in listed.cells[:3]) == expected
    assert len(listed.cells) == 6
    only = gather(project, ReviewQuery(ambiguous_only=True, control_share=0.0))
    assert {each.id for each in only.cells} == set(expected)
    # A cell that was reviewed is no longer one for the second reader.
    spans = cells["spans"]
    project.apply(edits.replace_all([(spans, with_review(spans, "anna", Status.ACCEPTED))], "Accept"), "anna")
    assert ambiguous_ids(project) == expected[1:]


def test_a_project_is_calibrated_on_what_was_read_alone(tmp_path: Path) -> None:
    """56 slides of 56 patients, two cells of each class each; what was accepted in bulk does not count."""
    rng = np.random.default_rng(0)
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        slides = [f"{n:032x}" for n in range(56)]
        project.add_slides([SlideRecord(name=s, id=s, size_hw=(4000, 4000), patient=f"p {s}") for s in slides])
        cells, truth = [], {}
        for slide in slides:
            for place, class_id in enumerate(CLASSES * 2):
                shares = rng.dirichlet(np.ones(6)) * 0.5
                shares[place % 6] += 0.5
                made = cell("a", 10.0 * place, tuple(shares))
                cells.append(Annotation(slide_id=slide, **{k: getattr(made, k) for k in KEPT}))
                truth[cells[-1].id] = class_id
        project.apply(edits.add(cells, "Predict"), "made")
        with pytest.raises(CytoError, match="no predictions of 'nobody'; it has those of: made"):
            reviewed_cells(project, "nobody")
        read, bulk = cells[:-12], cells[-12:-2]
        for start in range(0, len(read), 4):
            few = read[start : start + 4]
            pairs = [(each, with_review(each, "anna", Status.ACCEPTED, truth[each.id])) for each in few]
            project.apply(edits.replace_all(pairs, "Accept"), "anna")
        pairs = [(each, with_review(each, "anna", Status.ACCEPTED)) for each in bulk]
        project.apply(edits.replace_all(pairs, "Accept all: 10 cells"), "anna")
        found = reviewed_cells(project, "made")
        assert (len(found.cells), found.in_bulk, found.unread) == (55 * 12, 10, 2)
        assert found.model == ("made", "0" * 64)
        assert any("10 cells accepted in bulk" in sentence for sentence in found.remarks)
        labelled, left_out = found.labelled(project, dict.fromkeys(slides, LOOK))
        sets = calibrated(labelled, SetRates(), found.model, found.fingerprint)
        assert (sets.unit, sets.groups, left_out) == ("patients", 55, ())
        assert sets.class_ids == CLASSES
        keep_sets(project, ORIGIN, sets, is_local=True)
        keep_looks(project, dict.fromkeys(slides, LOOK))
        made = ambiguity_of(project, project.annotations())
        held = [truth[cell_id] in each.classes for cell_id, each in made.sets.items()]
        assert len(held) == len(cells)
        assert np.mean(held) >= 0.9


KEPT = ("geometry", "class_id", "status", "author", "origin", "scores")
