"""One small label set with a bit of everything, and the disk made patient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats.bad_rows import LeftOut

MOMENT = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _refusals_are_sentences(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test looks at: each refusal and each remark is a sentence, and its line is one of a file."""
    refuse, leave_out = FormatError.__init__, LeftOut.add
    odd: list[object] = []

    def refused(self: FormatError, reason: str, path: object = None, line: int | None = None) -> None:
        if not isinstance(reason, str) or not reason.endswith((".", ".)")) or (line is not None and line < 1):
            odd.append((reason, path, line))
        refuse(self, reason, path, line)

    def left_out(self: LeftOut, what: str, words: str, number: int = 1) -> None:
        if not (isinstance(what, str) and isinstance(words, str) and words.endswith(".") and isinstance(number, int)):
            odd.append((what, words, number))
        leave_out(self, what, words, number)

    monkeypatch.setattr(FormatError, "__init__", refused)
    monkeypatch.setattr(LeftOut, "add", left_out)
    yield
    assert odd == []


@pytest.fixture
def golden() -> Path:
    return Path(__file__).parents[1] / "golden"


@pytest.fixture
def sample() -> LabelSet:
    """Two slides; points, boxes, an outline, a region; accepted, proposed and rejected."""
    first = SlideRecord(
        name="smear 1.svs", size_hw=(4000, 6000), mpp=0.25, mpp_source="file", smear="s1", side="train", id="1" * 32
    )
    second = SlideRecord(name="smear 2.svs", size_hw=(2000, 2000), mpp=0.5, smear="s2", side="test", id="2" * 32)
    rows: list[tuple[SlideRecord, Geometry, str | None, Status, str, str]] = [
        (first, Box(100, 200, 150, 260), "HSIL", Status.ACCEPTED, "Dr. A", "large, hyperchromatic"),
        (first, Point(1990.5, 2000.25), "NILM", Status.ACCEPTED, "Dr. A", ""),
        (first, Polygon(((10, 10), (10, 90), (60.5, 90))), "LSIL", Status.ACCEPTED, "Dr. B", ""),
        (first, Polygon(((0, 0), (0, 3000), (1000, 3000), (1000, 0))), None, Status.ACCEPTED, "Dr. A", ""),
        (second, Box(5, 6, 25, 26), "HSIL", Status.UNREVIEWED, "detector", ""),
        (second, Box(1, 1, 9, 9), "NILM", Status.REJECTED, "detector", ""),
    ]
    cells = tuple(
        Annotation(
            slide_id=slide.id,
            geometry=geometry,
            class_id=class_id,
            status=status,
            author=author,
            note=note,
            scores=((class_id or "", 0.75),) if author == "detector" else (),
            created_utc=MOMENT,
            id=f"{place:032x}",
        )
        for place, (slide, geometry, class_id, status, author, note) in enumerate(rows, start=1)
    )
    return LabelSet((first, second), cells, ("NILM", "LSIL", "HSIL"), (("NILM", "#009e73"), ("HSIL", "#d55e00")))
