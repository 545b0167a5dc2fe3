"""A lesson on the cells of a project: read from it, and what is kept with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from napari_cyto.errors import CytoError
from napari_cyto.measurements import CellTable, stored_measurements
from napari_cyto.store import Project
from napari_cyto.vectors import CellVectors, VectorKind, cell_vectors, vector_kinds
from napari_cyto.vectors.teaching._measured import measured_features
from napari_cyto.vectors.teaching.estimate import Accuracy, AcrossSlides, Doubt, across_slides, doubts, honest_accuracy
from napari_cyto.vectors.teaching.lesson import Lesson, Snapshot
from napari_cyto.vectors.teaching.sentences import changed_encoder_words

DRAWN, TAUGHT_ON, FEATURES = "teach.drawn", "teach.encoder", "teach.features"


class Features(StrEnum):
    """What a head is taught on."""

    VECTORS = "vectors"
    BOTH = "vectors-and-measurements"


@dataclass(frozen=True, slots=True)
class Worth:
    """What a lesson is worth.

    Parameters
    ----------
    accuracy : Accuracy or None
        On the waiting cells, from those drawn at random.
    drawn, labelled : int
        Cells drawn at random so far, and those of them that were judged.
    across : AcrossSlides or None
        On slides that it has not seen.
    groups : int
        Slides, or patients, with examples.
    doubts : tuple of Doubt
        Examples that look wrong.
    """

    accuracy: Accuracy | None
    drawn: int
    labelled: int
    across: AcrossSlides | None
    groups: int
    doubts: tuple[Doubt, ...]


def newest_kind(project: Project, named: str = "") -> VectorKind:
    """Return the newest kind of vectors that a project has; those of the encoder ``named``, by id or start of its hash.

    Raises
    ------
    CytoError
        When there are none, or none of that encoder.
    """
    kinds = vector_kinds(project)
    if not kinds:
        raise CytoError(
            f"Expected vectors of the cells of {project.name}, got none; make them with `napari-cyto embed "
            f"{project.folder} --encoder NAME`."
        )
    found = [kind for kind in kinds if not named or kind.encoder == named or kind.sha256.startswith(named)]
    if not found:
        raise CytoError(
            f"Expected vectors of the encoder {named[:80]!r}, got those of "
            f"{', '.join(f'{kind.encoder} ({kind.sha256[:8]})' for kind in kinds)}; run `napari-cyto embed` for it."
        )
    return found[0]


def open_lesson(project: Project, kind: VectorKind, features: Features = Features.VECTORS) -> Lesson:
    """Return the lesson on a project's cells, with all that was said of them so far; the head is not fitted yet.

    Safe in any thread.

    Parameters
    ----------
    project : Project
        Whose cells.
    kind : VectorKind
        Of which encoder.
    features : Features
        Whether what is measured on the cells is learnt from, too. No model is saved of that: it sees pixels alone.

    Raises
    ------
    CytoError
        When no cell has a vector, or the project or its vectors cannot be read.
    """
    found: CellVectors = cell_vectors(project, kind)
    measured = None
    if features is Features.BOTH:
        measured = measured_features(found.ids, CellTable(stored_measurements(project)))
    lesson = Lesson(found.ids, found.slide_ids, found.vectors, project.scheme, measured)
    lesson.without = found.without
    lesson.take((cell.id, cell) for cell in project.annotations() if not cell.is_region)
    return lesson


def features_of(project: Project) -> Features:
    """Return what the heads of a project are taught on."""
    kept = project.setting(FEATURES, "")
    return Features.BOTH if kept == Features.BOTH.value else Features.VECTORS


def keep_features(project: Project, features: Features) -> None:
    """Keep what the heads of a project are taught on."""
    project.remember(FEATURES, features.value)


def encoder_remark(project: Project, kind: VectorKind) -> str:
    """Return what to know when the vectors are of another encoder than those last taught on; empty else."""
    kept = project.setting(TAUGHT_ON, {})
    if not kept or kept.get("sha256") == kind.sha256:
        return ""
    return changed_encoder_words(str(kept["encoder"]), str(kept["sha256"]), kind.encoder, kind.sha256)


def keep_encoder(project: Project, kind: VectorKind) -> None:
    """Keep which encoder's vectors were taught on."""
    project.remember(TAUGHT_ON, {"encoder": kind.encoder, "sha256": kind.sha256})


def drawn_cells(project: Project) -> tuple[str, ...]:
    """Return the ids of the cells that were drawn at random so far."""
    kept: list[str] = project.setting(DRAWN, [])
    return tuple(kept)


def keep_drawn(project: Project, ids: Iterable[str]) -> None:
    """Keep that cells were drawn at random: only those, once judged, tell what the head is worth."""
    before = drawn_cells(project)
    new = [cell for cell in ids if cell not in set(before)]
    if new:
        project.remember(DRAWN, [*before, *new])


def worth_of(taught: Snapshot, drawn: Sequence[str], group_of_slide: Mapping[str, str] | None = None) -> Worth:
    """Return what a lesson is worth; takes some tenths of a second, and is safe in any thread.

    Parameters
    ----------
    taught : Snapshot
        Of a lesson.
    drawn : sequence of str
        As `drawn_cells` returns them.
    group_of_slide : mapping, optional
        What is kept together with each slide; each slide stands for itself without.
    """
    groups = group_of_slide or {}
    of_example = [groups.get(slide, slide) for slide in taught.slide_ids]
    group_of = dict(zip(taught.examples.ids, of_example, strict=True))
    here = [cell for cell in drawn if cell in taught.known]
    return Worth(
        honest_accuracy(taught.places, taught.examples, here, group_of),
        len(here),
        sum(cell in group_of for cell in here),
        across_slides(taught.places, taught.examples, of_example),
        len(set(of_example)),
        doubts(taught.places, taught.examples),
    )
