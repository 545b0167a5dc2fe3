"""When cells cannot be divided as asked: refusals that are sentences, and what overrules each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.splits.config import Override, SplitConfig
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.errors import SplitError

SHOWN = 5


def sides_asked(config: SplitConfig) -> int:
    """Return how many sides the cells are divided into."""
    return 1 + (config.validation_share > 0) + (config.fold is not None or config.test_share > 0)


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
            f"Validation ({config.validation_share:g}) and test ({test:g}) leave nothing to train on; their shares "
            "must be less than 1 together."
        )
    if config.fold is not None and config.fold >= config.folds:
        raise SplitError(f"Expected a fold from 0 to {config.folds - 1} ({config.folds} folds), got {config.fold}.")


def unknown_patients(slides: Sequence[TrainingSlide], config: SplitConfig) -> bool:
    """Return whether patients are unknown where the split was to go by them, and that is allowed.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    unknown = [slide.name for slide in slides if not slide.patient and len(slide)]
    if config.by != "patient" or not unknown:
        return False
    if "unknown-patient" in config.overrides:
        return True
    raise SplitError(
        f"The cells are to be divided by patient, but the patient of {len(unknown)} slide(s) is unknown "
        f"({_listed(unknown)}); enter it, divide by smear or image, or allow it with "
        f"{_how('unknown-patient', config)}, which keeps those slides together by smear, else image."
    )


def too_few_groups(groups: Sequence[str], config: SplitConfig, unit: str) -> bool:
    """Return whether there are fewer groups than sides, and that is allowed.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    needed = max(sides_asked(config), config.folds if config.fold is not None else 2)
    if len(groups) >= needed:
        return False
    if "single-group" in config.overrides:
        return True
    of = f"one {unit} only ({groups[0]})" if len(groups) == 1 else f"{len(groups)} {unit}s only ({_listed(groups)})"
    fewer = " or ask for fewer sides (a test share of 0: --set split.test_share=0)," if len(groups) > 1 else ""
    raise SplitError(
        f"The cells are of {of}, but {needed} are needed so that no {unit} is on two sides; add slides of others,"
        f"{fewer} or allow it with {_how('single-group', config)}, which divides within one {unit}: "
        "its figures then flatter."
    )


def too_few_of_a_class(
    counts: npt.NDArray[np.float64], classes: Sequence[str], config: SplitConfig, unit: str
) -> dict[str, int]:
    """Return the classes with fewer groups than sides and in how many they are, when that is allowed.

    Parameters
    ----------
    counts : ndarray, (groups, classes), float64
        Cells of each group.
    classes : sequence of str
        Their ids.
    config : SplitConfig
        What was asked for.
    unit : str
        What a group is.

    Raises
    ------
    SplitError
        When it is not allowed.
    """
    needed = max(sides_asked(config), config.folds if config.fold is not None else 0)
    spread = dict(zip(classes, (counts > 0).sum(axis=0).tolist(), strict=True))
    few = {class_id: int(n) for class_id, n in spread.items() if 0 < n < needed}
    if few and "few-groups" not in config.overrides:
        listed = ", ".join(f"{class_id} in {n}" for class_id, n in few.items())
        raise SplitError(
            f"Each of {needed} sides or folds needs a {unit} with every class, but there are too few {unit}s for: "
            f"{listed}; add cells of other {unit}s, ask for fewer sides, or allow it with {_how('few-groups', config)}."
        )
    return few


def refuse_divided(came: Mapping[str, set[str]], unit: str) -> None:
    """Refuse published sides that divide a group.

    Raises
    ------
    SplitError
        Naming the groups.
    """
    divided = sorted(group for group, sides in came.items() if len(sides) > 1)
    if divided:
        raise SplitError(
            f"The sides that came with the data put {len(divided)} {unit}(s), or slides that show the same cells, on "
            f"two sides ({_listed(divided)}); have them divided anew with --set split.published=false."
        )


def refuse_known(free: int, known: int, unit: str) -> None:
    """Refuse to test a model on what the one that it continues from knows already.

    Raises
    ------
    SplitError
        When no group is left that had no say.
    """
    if not free:
        raise SplitError(
            f"A test side was asked for, but the model to continue from has learnt from or was steered by {known} "
            f"{unit}(s) here, and no other is left to be tested on; add slides that it has not seen, or ask for no "
            "test side (a test share of 0: --set split.test_share=0)."
        )


def _how(override: Override, config: SplitConfig) -> str:
    """Return what to type; what is allowed already is named again, since a setting replaces the one before it."""
    return f"the override {override!r} (--set split.overrides={','.join((*config.overrides, override))})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
