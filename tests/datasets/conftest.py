"""Small projects on drawn slides, and jobs run to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed, Noted
from napari_cyto.store import Project

CLASSES = ("healthy", "unhealthy", "rubbish", "bothcells")


@dataclass
class Ended:
    """What a job said."""

    last: Event
    notes: list[str] = field(default_factory=list)
    progress: list[Advanced] = field(default_factory=list)

    @property
    def result(self) -> dict:
        assert isinstance(self.last, Done), self.last
        return self.last.to_json()

    @property
    def refusal(self) -> str:
        assert isinstance(self.last, Failed), self.last
        assert self.last.expected, self.last.traceback
        return self.last.message


@pytest.fixture
def run() -> Callable[[Iterator[Event]], Ended]:
    """Run a job to its end, which comes once and last."""

    def run_to_end(events: Iterator[Event]) -> Ended:
        said = list(events)
        ends = [e for e in said if isinstance(e, Done | Failed | Cancelled)]
        assert ends == said[-1:], "a job ends exactly once"
        notes = [e.message for e in said if isinstance(e, Noted)]
        return Ended(said[-1], notes, [e for e in said if isinstance(e, Advanced)])

    return run_to_end


@dataclass(frozen=True)
class Made:
    """A project that was made for a test: its folder, and what is in it."""

    folder: Path
    slides: tuple[SlideRecord, ...]
    cells: tuple[Annotation, ...]


def draw_slide(size_hw: tuple[int, int], boxes: Sequence[Box], rng: np.random.Generator) -> np.ndarray:
    """Draw one textured ellipse a box, so that crops are telling and all different."""
    image = Image.new("RGB", (size_hw[1], size_hw[0]), (238, 236, 240))
    pen = ImageDraw.Draw(image)
    for box in boxes:
        y0, x0, y1, x1 = box.bounds_yxyx
        for _ in range(7):
            cy, cx = rng.uniform(y0, y1), rng.uniform(x0, x1)
            ry, rx = rng.uniform(4, 20, 2)
            pen.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=tuple(int(v) for v in rng.integers(30, 220, 3)))
    return np.asarray(image)


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Made]:
    """Make a project of drawn PNG slides, 12 cells each unless told otherwise."""

    def make(
        name: str = "made",
        *,
        slides: int = 3,
        cells: int = 12,
        size_hw: tuple[int, int] = (420, 520),
        scheme: str = "apacc",
        seed: int = 0,
        **facts: Sequence[str],
    ) -> Made:
        rng = np.random.default_rng(seed)
        folder = tmp_path / "pixels"
        folder.mkdir(exist_ok=True)
        records, marks = [], []
        ids = preset(scheme).ids
        for i in range(slides):
            boxes = []
            for _ in range(cells):
                y, x = (int(rng.integers(0, size - 64)) for size in size_hw)
                boxes.append(Box(y, x, y + int(rng.integers(30, 64)), x + int(rng.integers(30, 64))))
            path = folder / f"{name}-{i}.png"
            Image.fromarray(draw_slide(size_hw, boxes, rng)).save(path, compress_level=1)
            more = {key: values[i] for key, values in facts.items()}
            record = SlideRecord(name=path.name, path=str(path), size_hw=size_hw, mpp=0.25, mpp_source="user", **more)
            records.append(record)
            marks += [
                Annotation(slide_id=record.id, geometry=box, class_id=ids[n % 3], author="me")
                for n, box in enumerate(boxes)
            ]
        with Project.create(tmp_path / f"{name}.cyto", preset(scheme)) as project:
            project.add_slides(records)
            project.apply(add(marks, "draw"), "me")
        return Made(tmp_path / f"{name}.cyto", tuple(records), tuple(marks))

    return make


@pytest.fixture
def tree_bytes() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder with their content, to see whether it was touched."""

    def read(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    return read
