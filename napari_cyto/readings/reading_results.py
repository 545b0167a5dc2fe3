"""What finished readings say, for who leads: shares that weigh back to the slides, hidden known cells, opinions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics import share_interval
from napari_cyto.domain.statistics.bootstrap import Estimate, share_estimate
from napari_cyto.errors import CytoError
from napari_cyto.readings import _register
from napari_cyto.readings._content import sha256_of
from napari_cyto.readings.assignment import abnormal_classes
from napari_cyto.readings.given_cells import skipped_cells
from napari_cyto.readings.reading import Draw, DrawnCell, Mode, Reading, State
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import place_of_reading

CANNOT_SAY = "cannot say"
METHOD = (
    "Shares weigh back to the slides by the probabilities of the draw (Horvitz and Thompson 1952); their intervals are "
    "of the draw alone, by strata (Wilson's). Sensitivity, specificity and following the model: patients, else "
    "smears, else slides are what is independent (docs/statistics.md). Cells of which the reader cannot say count in "
    "the shares, as such, and in nothing else."
)


@dataclass(frozen=True, slots=True)
class ClassShare(JsonFields):
    """The share of a class among all cells from which was drawn, as the reader sees them."""

    class_id: str
    cells: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class ReadingResult(JsonFields):
    """What one finished reading comes to.

    Parameters
    ----------
    reading, reader : str
        Which and whose.
    mode : Mode
        How it was read.
    cells, skipped : int
        Cells with a class, and without.
    shares : tuple of ClassShare
        By class; of a free reading, plain counts without an interval.
    sensitivity, specificity : Estimate or None
        On the hidden known cells: abnormal is what is graded above normal. None without such cells.
    followed_right, followed_wrong : Estimate or None
        How often the reader gave the class that the model showed, where that was right, and where it was wrong; on
        known cells with the model's class on screen. None without such cells.
    repeats : str
        The reading that it repeats.
    same_class : Estimate or None
        Share of the cells with the same class in both.
    population : str
        What the shares are shares of, such as ``ambiguous cells``; empty for all cells.
    """

    reading: str
    reader: str
    mode: Mode
    cells: int
    skipped: int
    shares: tuple[ClassShare, ...] = ()
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    followed_right: Estimate | None = None
    followed_wrong: Estimate | None = None
    repeats: str = ""
    same_class: Estimate | None = None
    population: str = ""


def results(folder: Path, by: str) -> tuple[ReadingResult, ...]:
    """Return what the finished readings of a project come to.

    Parameters
    ----------
    folder : Path
        Of the main project.
    by : str
        Who asks; not somebody who has begun a reading in it.

    Raises
    ------
    CytoError
        When a reading is not what was locked.
    """
    with Project.open(folder, reader=by) as project:
        groups = {record.id: record.group for record in project.slides()}
        abnormal = abnormal_classes(project.scheme)
        finished = [each for each in _register.all_readings(project) if each.state is State.FINISHED]
        said = {each.id: _read(project, each) for each in finished}
        draws = {each.id: _register.draw_of(project, each.id) for each in finished}
    return tuple(_result(each, said, draws, groups, abnormal) for each in finished)


def _read(project: Project, reading: Reading) -> tuple[list[Annotation], frozenset[str]]:
    place = place_of_reading(project.folder, reading.id)
    if not Project.is_project(place):
        raise CytoError(f"The reading {reading.id} of {reading.reader} is no longer in {place}; bring it back.")
    with Project.open(place, past_gate=True) as own:
        if sha256_of(own) != reading.sha256:
            raise CytoError(
                f"{place} is not what {reading.reader} finished as {reading.id}: it was changed after that, "
                "by another program or from a backup. Bring back what was finished from a copy, or assign another."
            )
        return [a for a in own.annotations() if not a.is_region], skipped_cells(own)


def _result(
    reading: Reading,
    said: dict[str, tuple[list[Annotation], frozenset[str]]],
    draws: dict[str, Draw],
    groups: dict[str, str],
    abnormal: Sequence[str],
) -> ReadingResult:
    cells, _ = said[reading.id]
    if reading.mode is Mode.FREE:
        counts = Counter(str(a.class_id) for a in cells)
        total = len(cells)
        shares = tuple(
            ClassShare(name, n, Estimate(n / total, None, None, total)) for name, n in sorted(counts.items())
        )
        return ReadingResult(reading.id, reading.reader, reading.mode, total, 0, shares)
    draw, classes = draws[reading.id], {a.id: str(a.class_id) for a in cells}
    known = [c for c in draw.cells if c.truth and c.id in classes]
    sensitivity = _share([c for c in known if c.truth in abnormal], lambda c: classes[c.id] in abnormal, groups)
    specificity = _share([c for c in known if c.truth not in abnormal], lambda c: classes[c.id] not in abnormal, groups)
    shown = {a.id: max(a.scores, key=lambda pair: pair[1])[0] for a in cells if a.scores}
    seen = [c for c in known if c.id in shown]
    first = reading.repeat_of if reading.repeat_of in said else ""
    return ReadingResult(
        reading.id,
        reading.reader,
        reading.mode,
        len(classes),
        len(draw.cells) - len(classes),
        class_shares(draw, classes),
        sensitivity,
        specificity,
        _share([c for c in seen if shown[c.id] == c.truth], lambda c: classes[c.id] == shown[c.id], groups),
        _share([c for c in seen if shown[c.id] != c.truth], lambda c: classes[c.id] == shown[c.id], groups),
        reading.repeat_of,
        _same(draw, classes, draws[first], said[first][0], groups) if first else None,
        reading.population,
    )


def _share(cells: Sequence[DrawnCell], holds: Callable[[DrawnCell], bool], groups: dict[str, str]) -> Estimate | None:
    if not cells:
        return None
    hits = [holds(c) for c in cells]
    return share_estimate(hits, [True] * len(cells), [groups[c.slide_id] for c in cells])


def _same(
    draw: Draw, classes: dict[str, str], first: Draw, before: Sequence[Annotation], groups: dict[str, str]
) -> Estimate | None:
    names = {a.id: str(a.class_id) for a in before}
    was = {c.main_id: names[c.id] for c in first.cells if c.id in names}
    both = [c for c in draw.cells if c.main_id in was and c.id in classes]
    return _share(both, lambda c: classes[c.id] == was[c.main_id], groups)


def class_shares(draw: Draw, classes: dict[str, str]) -> tuple[ClassShare, ...]:
    """Return the share of each class among the cells from which was drawn.

    Parameters
    ----------
    draw : Draw
        The drawn cells with their probabilities, and the sizes of the strata.
    classes : dict
        What the reader said of the cells, by id; what is not in it is `CANNOT_SAY`.

    Notes
    -----
    Source: Horvitz and Thompson 1952, JASA 47(260) (total); Yan and Su 2010, Statistics in Biopharmaceutical
    Research 2(3), with Zou and Donner 2008, Statistics in Medicine 27(10) (Wilson's intervals of strata put together);
    Cochran 1977, Sampling Techniques, section 2.6 (draws without replacement).
    """
    drawn = [c for c in draw.cells if c.probability > 0]
    sizes = dict(draw.strata)
    total = sum(sizes.values())
    said = {c.id: classes.get(c.id, CANNOT_SAY) for c in drawn}
    found = []
    for name in sorted(set(said.values())):
        share = sum(1 / c.probability for c in drawn if said[c.id] == name) / total
        below = above = 0.0
        for stratum, size in sizes.items():
            own = [said[c.id] == name for c in drawn if c.stratum == stratum]
            if len(own) < size:
                # Of a share of what is finite, as many draws tell as much as these of the endless.
                weight, worth = size / total, (size - 1) / (size - len(own))
                part = sum(own) / len(own) if own else 0.0
                ends = share_interval(sum(own) * worth, len(own) * worth) or (0.0, 1.0)
                below += (weight * (part - ends[0])) ** 2
                above += (weight * (ends[1] - part)) ** 2
        low, high = max(0.0, share - math.sqrt(below)), min(1.0, share + math.sqrt(above))
        number = sum(1 for c in drawn if said[c.id] == name)
        found.append(ClassShare(name, number, Estimate(share, low, high, len(drawn))))
    return tuple(found)
