"""When cells cannot be divided as asked: refusals that are sentences, and what overrules each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from napari_cyto.datasets.splits.config import Override, SplitConfig
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
            f"Validation ({config.validation_share:g}) and test ({test:g}) leave nothing to train on; their shares "
            "must be less than 1 together."
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
        f"The cells are to be divided by patient, but the patient of {len(unknown)} slide(s) is unknown "
        f"({_listed(unknown)}); enter it, divide by smear or image, or allow it with "
        f"{_how('unknown-patient', config)}, which keeps those slides together by smear, else image."
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
        raise SplitError("There are no cells to divide; mark some, or accept predictions.")
    if config.allows("single-group"):
        return True
    of = f"one {unit} only ({groups[0]})" if len(groups) == 1 else f"{len(groups)} {unit}s only ({_listed(groups)})"
    fewer = f" or ask for fewer sets (a test share of 0: {config.typed('test_share', '0')}),"
    raise SplitError(
        f"The cells are of {of}, but {needed} are needed so that no {unit} is in two sets; add slides of others,"
        f"{fewer if len(groups) > 1 or config.requested_sets == 2 else ''} or allow it with "
        f"{_how('single-group', config)}, which divides within one {unit}: its figures then flatter."
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
            f"Each of {config.needed_groups} sets or folds needs a {unit} with every class, but there are too few "
            f"{unit}s for: {listed}; add cells of other {unit}s, ask for fewer sets, or allow it with "
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
            f"The sets that came with the data put {len(divided)} {unit}(s), or slides that show the same cells, in "
            f"two sets ({_listed(divided)}); have them divided anew with {config.typed('published', 'false')}."
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
            f"A test set was asked for, but the model to continue from has learnt from or was steered by {known} "
            f"{unit}(s) here, and no other is left to be tested on; add slides that it has not seen, or ask for no "
            f"test set (a test share of 0: {config.typed('test_share', '0')})."
        )


def _how(override: Override, config: SplitConfig) -> str:
    """Return what to type; what is allowed already is named again, since a setting replaces the one before it."""
    return f"the override {override!r} ({config.typed('overrides', ','.join((*config.overrides, override)))})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
