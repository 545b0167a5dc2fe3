"""What the small values that are kept with a project look like, for those that more than one key's reader trusts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.prediction_sets import PredictionSets, SlideLook
from napari_cyto.errors import CytoError
from napari_cyto.store._validity import is_mpp, is_text, need

INTERPRETATION = "slide.interpretation."
"""Begins the keys under which the interpretations of each slide are kept; its id follows."""

_Fits = Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _share(value: Any) -> bool:
    return _number(value) and 0 < value <= 0.5


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(is_text(each) for each in value)


def _map_of(fits: _Fits) -> _Fits:
    return lambda value: isinstance(value, dict) and all(fits(each) for each in value.values())


def _record_of(**fields: _Fits) -> _Fits:
    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(name in value and is_so(value[name]) for name, is_so in fields.items())

    return fits


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) <= 40 and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _cost(value: Any) -> bool:
    return _number(value) and value >= 0


def _list_of(fits: _Fits) -> _Fits:
    return lambda value: isinstance(value, list) and all(fits(each) for each in value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _interpretation(value: Any) -> bool:
    entered = _record_of(category=is_text, by=is_text, at=is_text, entered_by=is_text, entered=_moment)
    try:
        if entered(value) and value["category"]:
            Interpretation(value["category"], value["by"], value["at"])
    except CytoError:
        return False
    return entered(value)


def _model(kind: type[BaseModel]) -> _Fits:
    def fits(value: Any) -> bool:
        try:
            kind.model_validate(value)
        except ValidationError:
            return False
        return True

    return fits


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


# By the beginning of their keys; a key that is not named here has the kind of its default only.
_KEPT: Mapping[str, tuple[_Fits, str]] = {
    "session.": (is_text, "the id of a slide or class"),
    "slides.removed": (_texts, "a list of slide ids"),
    "slide.mpp_history.": (
        _list_of(_record_of(by=is_text, at=_moment, **{"from": is_mpp, "to": is_mpp})),
        "who said when what a pixel measures",
    ),
    INTERPRETATION: (_list_of(_interpretation), "who said what of the slide as a whole"),
    "predictions.miss_costs": (_map_of(_map_of(_cost)), "what a miss of each class costs"),
    "result.preparations": (_map_of(_record_of(preparation=is_text, by=is_text)), "how slides were prepared"),
    "result.magnification": (_number, "a magnification"),
    "review.limit": (_share, "a share above 0 and at most 0.5"),
    "model.false_rates": (
        _map_of(_record_of(called=_count, cells=_count)),
        "how often models call normal cells high-grade",
    ),
    "model.prediction_sets": (
        _map_of(_record_of(local=_flag, sets=_model(PredictionSets))),
        "thresholds of prediction sets",
    ),
    "slides.looks": (_map_of(_model(SlideLook)), "how slides were imaged"),
    "export.apacc.class_map": (_map_of(is_text), "what classes become"),
    "import.class_map": (_map_of(is_text), "what classes become"),
    "bookmarks": (
        _list_of(
            _record_of(
                id=is_text, slide=is_text, y=_number, x=_number, scale=_positive, note=is_text, by=is_text, at=_moment
            )
        ),
        "places with notes",
    ),
    "teach.drawn": (_texts, "the ids of cells that were drawn at random"),
    "teach.encoder": (_map_of(is_text), "the encoder whose vectors were taught on"),
    "readings.list": (_list_of(_record_of(id=is_text, reader=is_text, state=is_text)), "who reads what"),
    "reading.of": (_record_of(id=is_text, reader=is_text), "which reading this is"),
    "reading.locked": (_record_of(at=_moment, **{"as": is_text}), "when a reading was finished"),
    "train.seen": (is_text, "the name of a run"),
}


def check_kept(key: str, value: Any) -> None:
    """Refuse a kept value whose form its readers cannot take.

    Raises
    ------
    RowFault
        When this program never keeps such a value under ``key``.
    """
    for start, (fits, due) in _KEPT.items():
        if key.startswith(start):
            need(fits(value), "setting", key, "value", value, due)
