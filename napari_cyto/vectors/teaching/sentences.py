"""What a lesson says to a person, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cyto.domain.counts import counted
from napari_cyto.vectors.teaching.estimate import FEWEST_DRAWN, FEWEST_GROUPS, Accuracy, AcrossSlides, Doubt
from napari_cyto.vectors.teaching.examples import NONE_OF_THEM
from napari_cyto.vectors.teaching.lesson import Lesson
from napari_cyto.vectors.teaching.suggestions import class_words

FEW_EXAMPLES = 10
NOT_ENOUGH_SLIDES = "not enough slides to tell"
_SHOWN = 5


def limitations(lesson: Lesson, class_id: str) -> list[str]:
    """Return what to know before a lesson's order is trusted.

    Parameters
    ----------
    lesson : Lesson
        After `Lesson.learn`.
    class_id : str
        The class that is being taught.
    """
    return [
        sentence
        for sentence in (
            _without(lesson),
            "" if lesson.measured is None else lesson.measured.sentence,
            _absent(lesson, class_id),
            _likeness(lesson, class_id),
            _few(lesson, class_id),
            _one_slide(lesson),
        )
        if sentence
    ]


def _without(lesson: Lesson) -> str:
    if not lesson.without:
        return ""
    return (
        f"{counted(lesson.without, 'cell')} of the project {'has' if lesson.without == 1 else 'have'} no vector of "
        "this encoder and can be neither taught nor scored; `napari-cyto embed` makes them."
    )


def _absent(lesson: Lesson, class_id: str) -> str:
    if not class_id or lesson.examples.counts.get(class_id):
        return ""
    others = lesson.examples.taught
    rest = f" The head knows only {', '.join(others)}, and calls it one of these." if others else ""
    return f"There is no example of {class_id} yet, so no cell can be scored as {class_id}.{rest}"


def _likeness(lesson: Lesson, class_id: str) -> str:
    head = lesson.head
    if head is None or not head.is_likeness or head.classes[0] != class_id:
        return ""
    number = lesson.examples.counts[class_id]
    have = f"{number} examples of {class_id} and nothing" if number > 1 else f"One example of {class_id} and nothing"
    return f"{have} against it: cells are ordered by likeness alone, which is no probability. Show cells that are none."


def _few(lesson: Lesson, class_id: str) -> str:
    counts = lesson.examples.counts
    if lesson.head is None or lesson.head.is_likeness or not counts.get(class_id):
        return ""
    against = len(lesson.examples) - counts[class_id]
    if counts[class_id] >= FEW_EXAMPLES and against >= FEW_EXAMPLES:
        return ""
    return (
        f"The head rests on {counted(counts[class_id], 'example')} of {class_id} and {against} against: few, so expect "
        "it to change its mind."
    )


def _one_slide(lesson: Lesson) -> str:
    slides = {lesson.slide_ids[row] for row in lesson.example_rows}
    if len(slides) != 1:
        return ""
    return "All examples are of one slide: how the head does on others is not known."


def accuracy_words(found: Accuracy | None, drawn: int, labelled: int) -> str:
    """Return the estimate from cells drawn at random as a sentence.

    Parameters
    ----------
    found : Accuracy or None
        As `honest_accuracy` returns it.
    drawn, labelled : int
        Cells that were drawn at random so far, and those of them that a person labelled.
    """
    if found is None:
        if not drawn:
            return "No cell was drawn at random yet, so there is no honest estimate of the head."
        return (
            f"{labelled} of {drawn} cells drawn at random are labelled; from {FEWEST_DRAWN} on, and with two classes, "
            "the head is estimated."
        )
    rests = f"{counted(found.groups, 'slide')}" + ("" if found.groups > 1 else ", so it holds for this slide alone")
    passed = f" {drawn - labelled} more were drawn and passed over." if drawn > labelled else ""
    return (
        f"The head calls about {100 * found.share:.0f} % of the unreviewed cells right (95 % confidence interval "
        f"{100 * found.low:.0f} to {100 * found.high:.0f} %; {found.of} cells drawn at random, of {rests}).{passed}"
    )


def across_words(found: AcrossSlides | None, groups: int) -> str:
    """Return the cross-validation by slide as a sentence; ``groups`` is how many slides or patients there are."""
    if found is None:
        return f"On another slide: {NOT_ENOUGH_SLIDES} ({groups} with examples, {FEWEST_GROUPS} are needed)."
    accuracy = found.accuracy
    return (
        f"On slides that it has not seen the head calls {100 * accuracy.share:.0f} % of the examples right (95 % "
        f"confidence interval {100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %; {accuracy.of} examples of "
        f"{counted(accuracy.groups, 'slide')}); macro F1 {found.macro_f1:.2f}. Examples that were suggested are harder "
        "than cells as they come."
    )


def doubt_words(found: Sequence[Doubt]) -> str:
    """Return which examples look wrong as a sentence; empty where none does."""
    if not found:
        return ""
    which = ", ".join(
        f"one {class_words(d.given)} that looks like {class_words(d.likelier)} ({100 * d.share:.0f} %)"
        for d in found[:_SHOWN]
    )
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    look = "looks" if len(found) == 1 else "look"
    return f"{counted(len(found), 'example')} {look} wrong: {which}{more}. Look at them again."


def changed_encoder_words(before: str, before_sha256: str, now: str, now_sha256: str) -> str:
    """Return what to know when the vectors are of another encoder than those that were taught on last."""
    return (
        f"The encoder changed: these vectors are of {now} ({now_sha256[:8]}), those taught on last were of {before} "
        f"({before_sha256[:8]}). The examples are the same cells, but the head is fitted anew and its scores cannot be "
        "compared with earlier ones."
    )


def example_words(lesson: Lesson) -> str:
    """Return how many examples there are of which class: ``7 koilocyte, 12 none of them, 3 only not one``."""
    counts = lesson.examples.counts
    parts = [f"{n} {class_words(name)}" for name, n in counts.items() if n and name != NONE_OF_THEM]
    none = counts.get(NONE_OF_THEM, 0)
    partly = int((~lesson.examples.is_known).sum())
    if none:
        parts.append(f"{none} none of them")
    if partly:
        parts.append(f"{partly} known only not to be one of them")
    return ", ".join(parts) if parts else "none yet"
