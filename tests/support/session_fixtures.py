"""A session on a project of two slides whose pixels are not at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.session import Session


class Heard:
    """What a session said, by signal."""

    def __init__(self, session: Session) -> None:
        self.messages: list[str] = []
        self.jumps: list[tuple[float, float]] = []
        self.entries: list[object] = []
        self.selections = 0
        self._session = session
        session.message.connect(self._message)
        session.jump_requested.connect(self._jump)
        session.annotations_changed.connect(self._entry)
        session.selection_changed.connect(self._selection)

    def _message(self, text: str) -> None:
        self.messages.append(text)

    def _jump(self, y: float, x: float) -> None:
        self.jumps.append((y, x))

    def _entry(self, entry: object) -> None:
        self.entries.append(entry)

    def _selection(self) -> None:
        self.selections += 1


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Anna's session, slide one (0.25 µm per px) on screen, its top-left 1000 px in view; slide two has no mpp."""
    session = Session("anna")
    session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    records = [SlideRecord(name="one", size_hw=(4000, 4000), mpp=0.25, mpp_source="file"), SlideRecord(name="two")]
    session.project.add_slides(records)
    session.slides.go_to(records[0].id)
    session.set_view((0.0, 0.0, 1000.0, 1000.0))
    yield session
    session.close()


@pytest.fixture
def heard(session: Session) -> Heard:
    return Heard(session)
