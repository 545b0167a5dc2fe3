"""Promise: a review is ordered and bounded by a measurement; cells without it are counted, and what rests on an outline
nobody accepted says so."""

from __future__ import annotations

from pathlib import Path

from outlined_project import outlined_project

from napari_cyto.domain.annotation import Status
from napari_cyto.measurements import MeasureOptions, measure
from napari_cyto.review.order import gather
from napari_cyto.review.query import ReviewQuery, Sort
from napari_cyto.store import Project

ALL = (Status.UNREVIEWED, Status.ACCEPTED)


def test_a_review_is_ordered_and_bounded_by_a_measurement(tmp_path: Path) -> None:
    folder = outlined_project(tmp_path)
    list(measure(folder, MeasureOptions()))
    plain = {"statuses": ALL, "control_share": 0.0, "measurement": "nucleus_area_um2"}
    with Project.open(folder) as project:
        largest = gather(project, ReviewQuery(sort=Sort.MEASURED, **plain))
        numbers = largest.query.measured
        assert numbers is not None
        values = [numbers.values.get(cell.id, 0.0) for cell in largest.cells]
        assert values == sorted(values, reverse=True)
        assert largest.cells[0].class_id == "LSIL"
        assert largest.unmeasured == 3, "a point, an outline of unknown kind, and a slide without µm per px"
        assert values[-3:] == [0.0] * 3, "they come last"
        large = gather(project, ReviewQuery(measured_range=(50.0, None), **plain))
        assert [cell.class_id for cell in large.cells] == ["LSIL"]
        assert (large.left_out, large.unmeasured) == (0, 3)
        assert len(gather(project, ReviewQuery(measured_range=(None, 50.0), **plain)).cells) == 22
        assert numbers.words(large.cells[0].id).endswith("(outline not accepted)")
        assert "≈" not in numbers.words(largest.cells[1].id)
        assert numbers.words(largest.cells[-1].id) == ""
        without = gather(project, ReviewQuery(statuses=ALL, control_share=0.0))
        assert (without.query.measured, without.unmeasured, len(without.cells)) == (None, 0, 26)
