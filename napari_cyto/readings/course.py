"""The course of a reading: begun, finished or handed back; each step can be repeated after a crash."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.readings import _register
from napari_cyto.readings._content import sha256_of
from napari_cyto.readings.assignment import withdraw_is_allowed
from napari_cyto.readings.given_cells import OPINIONS, skipped_cells
from napari_cyto.readings.reading import Draw, Mode, Reading, Standing, State
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import FOLDER, GIVEN, LOCKED, OF_READING, READINGS, begun_by, place_of_reading


def main_folder(place: Path) -> Path:
    """Return the folder of the main project, of itself or of one of its readings."""
    place = place.absolute()
    return place.parent.parent if place.parent.name == FOLDER else place


def readings(folder: Path, reader: str) -> tuple[Standing, ...]:
    """Return the readings of a project as a reader may see them: all, or only the own one while that is begun.

    Parameters
    ----------
    folder : Path
        Of the main project.
    reader : str
        Who asks.
    """
    with _register.main_project(folder) as project:
        return readings_of(project, reader)


def readings_of(project: Project, reader: str) -> tuple[Standing, ...]:
    """Return the same of the main project where it is open already: a file is not opened twice in one program."""
    begun = begun_by(reader, project.setting(READINGS, []))
    found = [_register.one(project, begun)] if begun else _register.all_readings(project)
    return tuple(_standing(project.folder, each, reader) for each in found)


def reading_with(folder: Path, reading_id: str) -> Reading:
    """Return a reading of the main project in a folder, as it is kept there.

    Raises
    ------
    StoreError
        When there is none of that id.
    """
    with _register.main_project(folder) as project:
        return _register.one(project, reading_id)


def standing(folder: Path, reading_id: str, reader: str) -> Standing:
    """Return how far one reading has come.

    Raises
    ------
    CytoError
        When the reader may not see it, or there is none of that id.
    """
    found = {each.id: each for each in readings(folder, reader)}
    if reading_id not in found:
        raise CytoError(f"Expected one of the readings {', '.join(found) or 'none'}, got {reading_id[:40]!r}.")
    return found[reading_id]


def _standing(folder: Path, reading: Reading, reader: str) -> Standing:
    place = place_of_reading(folder, reading.id)
    # Of others who still read, not even the counts are shown.
    if reading.reader == reader and reading.state is not State.ASSIGNED and Project.is_project(place):
        with Project.open(place, past_gate=True) as own:
            return standing_in(own, reading)
    return _stands(reading, place, 0, 0)


def standing_in(own: Project, reading: Reading) -> Standing:
    """Return how far a reading has come, from its own project, which is open."""
    counts = own.counts()
    return _stands(reading, own.folder, sum(counts.values()) - counts.get(None, 0), len(skipped_cells(own)))


def _stands(reading: Reading, place: Path, classified: int, skipped: int) -> Standing:
    return Standing(
        reading.id,
        reading.reader,
        reading.mode,
        reading.state,
        "" if reading.state is State.ASSIGNED else str(place),
        reading.cells,
        classified,
        skipped,
        reading.due,
    )


def begin(folder: Path, reading_id: str, reader: str) -> Path:
    """Begin a reading, or go on with it, and return the folder of its own project.

    From now on its reader opens nothing else of the main project.

    Raises
    ------
    CytoError
        When it is another reader's, not due yet or done, or the reader has begun another one in this project.
    """
    with _register.main_project(folder) as project:
        return begin_in(project, reading_id, reader)


def begin_in(project: Project, reading_id: str, reader: str) -> Path:
    """Begin a reading of the main project where that is open already."""
    reading = _register.one(project, reading_id)
    if reading.reader != reader:
        raise CytoError(
            f"The reading {reading.id} is for {reading.reader}, and you are {reader}; change the reader in the "
            "Slides dock, or by napari-cyto reading reader NAME."
        )
    begun = begun_by(reader, project.setting(READINGS, []))
    if begun not in ("", reading.id):
        raise CytoError(f"{reader} has begun the reading {begun}; finish it or hand it back first.")
    if reading.state in (State.FINISHED, State.HANDED_BACK):
        raise CytoError(f"The reading {reading.id} was {reading.state} and is locked; assign another one.")
    if reading.due and datetime.now(UTC).date().isoformat() < reading.due:
        raise CytoError(f"The reading {reading.id} repeats {reading.repeat_of} and may begin on {reading.due}.")
    place = place_of_reading(project.folder, reading.id)
    if not _is_complete(place):
        _make(project, reading, _register.draw_of(project, reading.id), place)
    if reading.state is State.ASSIGNED:
        _register.put(project, replace(reading, state=State.BEGUN, begun_at=_register.moment()))
    return place


def _is_complete(place: Path) -> bool:
    """Whether a reading's project is there with all that it gives; what a kill left half made is made anew."""
    if not Project.is_project(place):
        return False
    with Project.open(place, past_gate=True) as own:
        return bool(own.setting(OF_READING, {}))


def _make(project: Project, reading: Reading, draw: Draw, place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    given = [[c.id, c.slide_id, c.y, c.x] for c in draw.cells]
    records = _bare_slides(project, reading)
    Project.create(place, project.scheme, f"Reading {reading.id} of {reading.reader}").close()
    with Project.open(place, past_gate=True) as own:
        own.add_slides(records)
        own.set_setting(GIVEN, given)
        if reading.opinion:
            own.set_setting(OPINIONS, {c.id: [list(pair) for pair in c.opinion] for c in draw.cells if c.opinion})
        if reading.region_yxyx is not None and reading.mode is Mode.FREE:
            own.apply(edits.add([_region(reading)], "Region to read"), reading.assigned_by)
        # Last: with this the project is a reading, complete.
        of = {"id": reading.id, "reader": reading.reader, "mode": reading.mode.value, "turned": reading.turned}
        own.set_setting(OF_READING, of)


def _bare_slides(project: Project, reading: Reading) -> list[SlideRecord]:
    """Return the slides that are read, with what pixels need and nothing that anybody said of them.

    Given cells come without the names of slides, which may tell what is on them.
    """
    found: list[SlideRecord] = []
    for record in project.slides():
        if record.id in reading.slides:
            name = record.name if reading.mode is Mode.FREE else f"Slide {len(found) + 1}"
            found.append(
                SlideRecord(
                    name=name,
                    path=record.path,
                    size_hw=record.size_hw,
                    mpp=record.mpp,
                    mpp_source=record.mpp_source,
                    offset_yx=record.offset_yx,
                    fingerprint=record.fingerprint,
                    id=record.id,
                )
            )
    return found


def _region(reading: Reading) -> Annotation:
    assert reading.region_yxyx is not None
    y0, x0, y1, x1 = reading.region_yxyx
    corners = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    return Annotation(slide_id=reading.slides[0], geometry=Polygon(corners), class_id=None, author=reading.assigned_by)


def finish(folder: Path, reading_id: str, reader: str, own: Project | None = None) -> Reading:
    """Lock a reading for good, with a hash over what was said; now the main project opens again.

    Repeated after a crash, it goes on where it was: what is locked stays locked, and counts once the hash is kept.

    Parameters
    ----------
    folder : Path
        Of the main project.
    reading_id : str
        Which reading.
    reader : str
        Who finishes it.
    own : Project, optional
        The reading's own project, where it is open already.

    Raises
    ------
    CytoError
        When it is not the reader's or not begun, or given cells have neither class nor skip.
    """
    with _register.main_project(folder) as project:
        reading = _register.one(project, reading_id)
        if reading.reader != reader:
            raise CytoError(f"The reading {reading.id} is {reading.reader}'s to finish, and you are {reader}.")
        if reading.state is not State.BEGUN:
            raise CytoError(f"The reading {reading.id} is {reading.state}; only a begun one can be finished.")
        return _lock(project, reading, State.FINISHED, own)


def hand_back(folder: Path, reading_id: str, by: str, own: Project | None = None) -> Reading:
    """Give a reading back unfinished: it is locked, kept, and counts for nothing; ``own`` as in `finish`.

    Raises
    ------
    CytoError
        When somebody else than its reader does it (or, before it is begun, who assigned it), or it is done.
    """
    with _register.main_project(folder) as project:
        reading = _register.one(project, reading_id)
        if not withdraw_is_allowed(reading, by):
            raise CytoError(f"The reading {reading.id} is {reading.reader}'s to hand back, and you are {by}.")
        if reading.state in (State.FINISHED, State.HANDED_BACK):
            raise CytoError(f"The reading {reading.id} was {reading.state} already.")
        if reading.state is State.ASSIGNED:
            done = replace(reading, state=State.HANDED_BACK, finished_at=_register.moment())
            _register.put(project, done)
            return done
        return _lock(project, reading, State.HANDED_BACK, own)


def _lock(project: Project, reading: Reading, state: State, opened: Project | None) -> Reading:
    place = place_of_reading(project.folder, reading.id)
    with Project.open(place, past_gate=True) if opened is None else nullcontext(opened) as own:
        locked = own.setting(LOCKED, {})
        if not locked:
            if state is State.FINISHED:
                _refuse_unread(own, reading)
            locked = {"at": _register.moment(), "as": state.value}
            own.set_setting(LOCKED, locked)
        digest = sha256_of(own)
    done = replace(reading, state=State(locked["as"]), finished_at=locked["at"], sha256=digest)
    _register.put(project, done)
    return done


def _refuse_unread(own: Project, reading: Reading) -> None:
    classified = sum(n for name, n in own.counts().items() if name is not None)
    said = {a.id for a in own.annotations()} | skipped_cells(own)
    left = [cell for cell in own.setting(GIVEN, []) if cell[0] not in said]
    if reading.mode is Mode.CLASSIFY and left:
        raise CytoError(
            f"{len(left):,} of {reading.cells:,} cells of the reading {reading.id} have no class yet ({classified:,} "
            "have); classify or skip them, or hand the reading back."
        )
