"""What ``models calibrate-sets`` runs and prints: prediction sets for a bundle, or for a project's own slides."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table
from napari_cyto.cli.restart import start_for_networks
from napari_cyto.domain.counts import counted
from napari_cyto.domain.prediction_sets import FEWEST_GROUPS_OF_SCANNER
from napari_cyto.domain.set_calibration import Calibration, calibrated
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.sets_config import SetsConfig


def of_bundle(name: str, sources: Sequence[str], config: SetsConfig, as_json: bool) -> None:
    """Calibrate a classifier on labelled cells, keep the sets in its bundle, and print them.

    Parameters
    ----------
    name : str
        Its folder, or its name in the library.
    sources : sequence of str
        Where the labelled cells are.
    config : SetsConfig
        How much may be missed.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When something is missing or wrong; the sentence says what.
    """
    start_for_networks("Calibrating prediction sets")
    from napari_cyto.evaluation.calibrated_sets import calibrate_bundle

    _report(follow(lambda token: calibrate_bundle(name, sources, config, token), f"Calibrating {name}"), as_json)


def of_project(name: str, place: Path, config: SetsConfig, as_json: bool) -> None:
    """Calibrate a model on the reviewed cells of a project, keep the sets with the project, and print them.

    Parameters
    ----------
    name : str
        The model's id, as the project's predictions name it.
    place : Path
        The project.
    config : SetsConfig
        How much may be missed.
    as_json : bool
        JSON for machines.

    Raises
    ------
    CytoError
        When the project has too few reviewed cells, or no scanner with enough groups; the sentence says how many.
    """
    from napari_cyto.datasets.slide_look import looked_at
    from napari_cyto.review.local_calibration import reviewed_cells
    from napari_cyto.store import Project
    from napari_cyto.store.kept_sets import keep_sets

    with Project.open(Project.folder_of(place)) as project:
        found = reviewed_cells(project, name)
        if not found.cells:
            raise CytoError(
                f"{place}: no prediction of {name} was reviewed alone or among a few; accept or correct cells in the "
                "Review dock first."
            )
        looks, faults = looked_at(project, [record.id for record in project.slides()])
        cells, unknown = found.labelled(project, looks)
        sets = calibrated(cells, config, found.model, found.fingerprint)
        most = max(each.groups for each in sets.scanners)
        if most < FEWEST_GROUPS_OF_SCANNER:
            raise CytoError(
                f"{place}: a scanner counts as calibrated from {FEWEST_GROUPS_OF_SCANNER} {sets.unit} with reviewed "
                f"cells on, and the commonest here has {most}; review cells of {FEWEST_GROUPS_OF_SCANNER - most} more."
            )
        keep_sets(project, found.origin, sets, is_local=True)
    _report(Calibration(str(place), sets, (*found.remarks, *unknown, *faults)), as_json)


def _report(made: Calibration, as_json: bool) -> None:
    if as_json:
        for sentence in made.remarks:
            print(sentence, file=sys.stderr)
        print_json(made.to_json())
        return
    sets, rule = made.sets, made.sets.high_grade
    print(f"{sets.model}: {counted(sets.cells, 'cell')} of {sets.groups:,} {sets.unit}.")
    for sentence in made.remarks:
        print(sentence)
    rows = [(c.id, f"{sets.alpha:g}", f"{c.threshold:.4g}", c.groups, c.cells) for c in sets.classes]
    if rule is not None:
        words = f"{' or '.join(rule.must_find)} without high grade"
        rows.append((words, f"{rule.alpha:g}", f"{rule.threshold:.4g}", rule.groups, rule.cells))
    print_table("Prediction sets", ("class", "missed at most", "in the set from", sets.unit, "cells"), rows)
    scanners = [
        (
            each.scanner or "not named",
            each.groups,
            "yes" if each.groups >= FEWEST_GROUPS_OF_SCANNER else f"no, {FEWEST_GROUPS_OF_SCANNER} are needed",
        )
        for each in sets.scanners
    ]
    print_table("Scanners", ("scanner", sets.unit, "calibrated"), scanners)
    print_facts([("kept in", made.kept_in)])
