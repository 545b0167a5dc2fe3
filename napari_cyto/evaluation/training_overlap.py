"""Which slides a model has seen before: an evaluation on these flatters it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_cyto.datasets.splits.training_split import grouped_slides
from napari_cyto.datasets.training.training_set import TrainingSlide
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.config import Side

SEEN_IN_TRAINING = ("train", "validation")
OF_PARENTS = "sides_of_parents"
UNSEEN = "unseen"
_NO_RECORD = (
    "The model's card does not state what it was trained on, so it may have seen these slides and its scores "
    "may be too good."
)


@dataclass(frozen=True)
class ChosenSlides:
    """The slides that are judged, and what must be said of them.

    Parameters
    ----------
    slides : tuple of TrainingSlide
        In their order.
    side : str
        What they are, in words.
    seen : int
        How many of these had a say in the model's training, or are of a patient or smear of whom another slide had.
    warnings : tuple of str
        Sentences for people.
    """

    slides: tuple[TrainingSlide, ...]
    side: str
    seen: int = 0
    warnings: tuple[str, ...] = ()


def recorded_sets(split_record: Mapping[str, Any]) -> dict[str, str]:
    """Return the side of each slide that a model's split record names, by key or name; empty where it names none.

    Parameters
    ----------
    split_record : mapping
        ``card.split`` of a bundle, or any value of that form that came in a foreign ``model.json``. Its own ``sides``
        come before ``sides_of_parents``, of slides that only the models before it knew.
    """
    found: dict[str, str] = {}
    for recorded_by in (split_record.get(OF_PARENTS), split_record.get("sides")):
        if isinstance(recorded_by, Mapping):
            for key, value in recorded_by.items():
                if isinstance(value, str):
                    found[str(key)] = value
                elif isinstance(value, Iterable):
                    found |= {str(name): str(key) for name in value}
    return found


def side_of(slide: TrainingSlide, recorded: Mapping[str, str]) -> str:
    """Return the side that a slide had in the model's training, ``unseen`` when it had none."""
    return recorded.get(slide.key) or recorded.get(slide.fingerprint or "-") or UNSEEN


def sets_in(slides: Iterable[TrainingSlide], card: Mapping[str, Any], fingerprint: str) -> dict[str, str]:
    """Return the side that each slide had in the model's training, by key.

    Parameters
    ----------
    slides : iterable of TrainingSlide
        Any.
    card : mapping
        The model's card: its ``data`` and ``split``.
    fingerprint : str
        Of the data that the slides are all of; empty where they are not.
    """
    recorded = recorded_sets(card.get("split") or {})
    if not recorded and fingerprint and (card.get("data") or {}).get("fingerprint") == fingerprint:
        # The same data to the last cell, without a record of who was on which side: all of it had a say.
        return {slide.key: "train" for slide in slides}
    return {slide.key: side_of(slide, recorded) for slide in slides}


def choose_slides(
    slides: Sequence[TrainingSlide], card: Mapping[str, Any], fingerprint: str, side: Side, may_take_all: bool = True
) -> ChosenSlides:
    """Return the slides to judge a model on.

    Cells of one patient or smear are alike, so an unseen slide of one whose other slides had a say counts as seen.

    Parameters
    ----------
    slides : sequence of TrainingSlide
        All that the sources hold.
    card : mapping
        The model's card: its ``data`` and ``split``.
    fingerprint : str
        Of the sources together.
    side : str
        What was asked for, see `EvaluateConfig`.
    may_take_all : bool
        Whether a user can ask for slides that the model has seen; only then is that advised.

    Raises
    ------
    CytoError
        When no slide is left.
    """
    recorded = recorded_sets(card.get("split") or {})
    recorded_of = sets_in(slides, card, fingerprint)
    of_slide = _with_relatives(slides, recorded_of)
    seen_in_training = [s for s in slides if of_slide[s.key] in SEEN_IN_TRAINING]
    unknown = () if recorded or seen_in_training else (_NO_RECORD,)
    related = sum(recorded_of[s.key] == UNSEEN for s in seen_in_training) if recorded else 0
    # What is advised must work as typed, so it is advised only where there is something to judge on.
    unseen = "auto" if any(of_slide[s.key] not in SEEN_IN_TRAINING for s in slides) else ""
    if side == "all":
        warned = (_flattering(len(seen_in_training), len(slides), unseen, related),) if seen_in_training else unknown
        return ChosenSlides(tuple(slides), "all", len(seen_in_training), warned)
    if side == "auto" and unknown:
        return ChosenSlides(tuple(slides), "all; the model's card does not state what it was trained on", 0, unknown)
    if side == "auto":
        return _held_out(slides, of_slide, len(seen_in_training), related, may_take_all)
    chosen = tuple(
        s for s in slides if (side if of_slide[s.key] == UNSEEN and s.side == side else of_slide[s.key]) == side
    )
    if not chosen:
        raise CytoError(
            f"None of the {len(slides):,} slides is in the {side} set of the model's own split; choose "
            f"{'--side auto or ' if unseen else ''}--side all."
        )
    seen = sum(of_slide[s.key] in SEEN_IN_TRAINING for s in chosen)
    return ChosenSlides(chosen, side, seen, (_flattering(seen, len(chosen), unseen),) if seen else unknown)


def _with_relatives(slides: Sequence[TrainingSlide], of_slide: Mapping[str, str]) -> dict[str, str]:
    """Return the sides with each unseen slide on that of its patient's or smear's slides that had a say.

    A model's card names no patients, so this sees what the sources themselves say of who belongs together.
    """
    groups = grouped_slides(slides, "auto")
    seen_in_training = {groups[key]: side for key, side in of_slide.items() if side in SEEN_IN_TRAINING}
    return {key: seen_in_training.get(groups[key], side) if side == UNSEEN else side for key, side in of_slide.items()}


def _held_out(
    slides: Sequence[TrainingSlide], of_slide: Mapping[str, str], seen: int, related: int, may_take_all: bool
) -> ChosenSlides:
    left = tuple(s for s in slides if of_slide[s.key] not in SEEN_IN_TRAINING)
    if not seen:
        of_test = bool(left) and all(of_slide[s.key] == "test" for s in left)
        return ChosenSlides(left, "test" if of_test else "all, none of which the model has seen")
    if not left:
        advice = ", or --side all to see the optimistic figures" if may_take_all else ""
        raise CytoError(
            f"All {len(slides):,} slides were used to train or tune this model, so scores on them say nothing about "
            f"new cells; give other data{advice}."
        )
    return ChosenSlides(
        left,
        "test",
        0,
        (
            f"{seen:,} of {len(slides):,} slides were used to train or tune this model{_of_whom(related)} and were "
            f"left out; the {len(left):,} others are used.",
        ),
    )


def _flattering(seen: int, of: int, unseen: str, related: int = 0) -> str:
    advice = (
        f"--side {unseen} evaluates it on slides that were not" if unseen else ("evaluate it on slides it has not seen")
    )
    return (
        f"{seen:,} of the {of:,} slides were used to train or tune this model{_of_whom(related)}, so these scores "
        f"are too good; {advice}."
    )


def _of_whom(related: int) -> str:
    return f" ({related:,} of them through another slide of the same patient or smear)" if related else ""
