"""When cells cannot be split as requested: refusals that are sentences, and what overrules each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from napari_cyto.datasets.splits.config import Override, SplitConfig
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError

SHOWN = 5


def refuse_shares(config: SplitConfig) -> None:
    """Refuse shares that leave nothing to train on, and a fold that there is not.

    Raises
    ------
    SplitError
        Saying which.
    """
    test = 1 / config.folds if config.fold is not None else config.test_share
    if config.validation_share + test >= 1:
        raise SplitError(
            f"Expected shares for validation and test of less than 1 in all, got {config.validation_share:g} and "
            f"{test:g}, which leave nothing to train on."
        )
    if config.fold is not None and config.fold >= config.folds:
        raise SplitError(f"Expected a fold from 0 to {config.folds - 1} ({config.folds} folds), got {config.fold}.")


def unknown_patients(slides: Iterable[SlideRecord], config: SplitConfig) -> int:
    """Return how many patients are unknown where the split was to go by them, and that is allowed.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    unknown = [slide.name for slide in slides if not slide.patient]
    if config.by != "patient" or not unknown:
        return 0
    if config.allows("unknown-patient"):
        return len(unknown)
    raise SplitError(
        f"Expected the patient of each slide for a split by patient, got {counted(len(unknown), 'slide')} without one "
        f"({_listed(unknown)}); enter the patients, split by smear or image, or allow it with "
        f"{_how('unknown-patient', config)}, which keeps those slides together by smear, else by image."
    )


def too_few_groups(groups: Sequence[str], config: SplitConfig, unit: str) -> bool:
    """Return whether there are fewer groups than sets, and that is allowed.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    needed = config.needed_groups
    if len(groups) >= needed or needed == 1:
        return False
    if not groups:
        raise SplitError("There are no cells to split; annotate some, or accept predictions.")
    if config.allows("single-group"):
        return True
    of = f"only one {unit} ({groups[0]})" if len(groups) == 1 else f"only {len(groups)} {unit}s ({_listed(groups)})"
    fewer = f" leave out a set (a test share of 0: {config.typed('test_share', '0')}),"
    raise SplitError(
        f"Expected cells of at least {needed} {unit}s, so that no {unit} is in two sets, got {of}; add slides of other "
        f"{unit}s,{fewer if len(groups) > 1 or config.requested_sets == 2 else ''} or allow it with "
        f"{_how('single-group', config)}, which splits the cells of one {unit}, so that metrics are too optimistic."
    )


def too_few_of_a_class(spread: Mapping[str, int], config: SplitConfig, unit: str) -> dict[str, int]:
    """Return the classes with fewer groups than sets and in how many they are, when that is allowed.

    Parameters
    ----------
    spread : mapping
        Class id to how many groups have cells of it.
    config : SplitConfig
        What was asked for.
    unit : str
        What a group is.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    few = {class_id: n for class_id, n in spread.items() if 0 < n < config.needed_groups}
    if few and not config.allows("few-groups"):
        listed = ", ".join(f"{class_id} in {n}" for class_id, n in few.items())
        raise SplitError(
            f"Expected cells of each class from at least {config.needed_groups} {unit}s, one for each set or fold, got "
            f"fewer for: {listed}; add cells of other {unit}s, use fewer sets, or allow it with "
            f"{_how('few-groups', config)}."
        )
    return few


def refuse_divided(divided: Sequence[str], config: SplitConfig, unit: str) -> None:
    """Refuse published sets that divide a group, unless that is allowed.

    Raises
    ------
    SplitError
        Naming the groups.
    """
    if divided and not config.allows("leak"):
        raise SplitError(
            f"The published sets have the same {unit}, or slides that show the same cells, in two sets "
            f"({counted(len(divided), unit)}: {_listed(divided)}); make a new split with "
            f"{config.typed('published', 'false')}."
        )


def refuse_known(free: int, known: int, unit: str, config: SplitConfig) -> None:
    """Refuse to test a model on what the one that it continues from knows already.

    Raises
    ------
    SplitError
        When no group is left that the earlier model does not know.
    """
    if not free:
        raise SplitError(
            f"Expected slides for the test set that the parent model has not seen, got none: it was trained or tuned "
            f"on {counted(known, unit)} here; add other slides, or do without a test set (a test share of 0: "
            f"{config.typed('test_share', '0')})."
        )


def _how(override: Override, config: SplitConfig) -> str:
    """Return what to type; what is allowed already is named again, since a setting replaces the one before it."""
    return f"the override {override!r} ({config.typed('overrides', ','.join((*config.overrides, override)))})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
