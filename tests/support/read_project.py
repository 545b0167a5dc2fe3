"""A project of two patients' slides with accepted and predicted cells, to be read blind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import DRAWN, Annotation, Status
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.reader import keep_reader
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import place_of_reading

CLASSES = ("NILM", "LSIL", "HSIL")
SLIDES = tuple(f"{n:032x}" for n in range(1, 5))


def read_project(folder: Path, hidden: int = 0, cells: int = 40) -> Path:
    """Make the project; what is hidden from readers differs by ``hidden``, places do not."""
    rng, other = np.random.default_rng(5), np.random.default_rng(hidden)
    with Project.create(folder, preset("bethesda"), "Smears") as project:
        project.add_slides(
            SlideRecord(name=f"s{n}", size_hw=(4000, 4000), mpp=0.25, mpp_source="file", patient=f"P{n}", id=slide_id)
            for n, slide_id in enumerate(SLIDES)
        )
        made = []
        for n in range(cells):
            y, x = rng.uniform(100, 3900, 2)
            side = float(other.choice([30, 60]))
            of_model = bool(other.integers(2))
            made.append(
                Annotation(
                    slide_id=SLIDES[n % len(SLIDES)],
                    geometry=Box.around((round(y), round(x)), side, side),
                    class_id=str(other.choice(CLASSES)),
                    status=Status.UNREVIEWED if of_model else Status.ACCEPTED,
                    author="finder" if of_model else "lead",
                    origin=f"model:finder@{'a' * 64}" if of_model else DRAWN,
                    scores=(("HSIL", float(other.random())),) if of_model or n % 3 else (),
                    note="seen" * int(other.integers(3)),
                    id=f"{n + 1:032x}",
                )
            )
        order = other.permutation(cells)
        project.apply(edits.add([made[int(i)] for i in order], "Add"), "lead")
        for slide_id in SLIDES[: int(other.integers(4))]:
            project.append_setting("others.places", slide_id)
    return folder


@pytest.fixture
def as_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Take a name on this computer account, the lead's at first."""
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user"))
    keep_reader("Lead")
    return keep_reader


def nested(folder: Path, reading_id: str = "r1") -> Path:
    return place_of_reading(folder, reading_id)
